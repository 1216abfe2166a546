"""Connections to the nodes over SSH."""
