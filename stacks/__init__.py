"""How deployments differ: the settings of a stack, parsed once into frozen typed data."""
