"""Health checks of the group: per node, for the group, and through the public IP."""
