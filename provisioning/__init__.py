"""Desired state of the nodes, and its rollout over SSH. Does not depend on Pulumi."""
