"""What goes on a node, and how it gets there. Knows nothing of Pulumi."""
