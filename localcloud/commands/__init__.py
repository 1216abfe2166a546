"""The `localcloud` command, one module for each family of subcommands."""
