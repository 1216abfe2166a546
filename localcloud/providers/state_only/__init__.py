"""Resource types that exist only in the state: random values, keys and certificates."""
