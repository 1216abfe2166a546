"""A stand-in release of the IAM services, for stacks that have no real one at hand (see README.md)."""
