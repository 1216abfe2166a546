"""What goes on a machine, and how it gets there. Knows nothing of Pulumi."""
