"""Resource types that exist in the state only: random values, keys, certificates."""
