"""Programs that are installed on the nodes. Standard library only."""
