"""The `localcloud` command, a file for each family of subcommands."""
