"""A stand-in release of the IAM services, for stacks without a real release (see README.md)."""
