"""Releases to deploy where no real one is at hand."""
