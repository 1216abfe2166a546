"""The `tandem` command: the day after `pulumi up`. Reads a stack's outputs as anyone would, by running the engine."""
