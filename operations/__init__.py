"""The `tandem` command, which deploys and operates a stack through `pulumi`."""
