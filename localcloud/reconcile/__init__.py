"""Keeps the records, and makes machines and network match them: the store, the workers, and `Cloud` that owns them."""
