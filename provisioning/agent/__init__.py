"""The agent that runs on a node. Standard library only, Python 3.9 or later, JSON in, JSON out.

It is packed as one archive and sent over SSH with every call, so its version always matches the operator's. A request
is one JSON line on stdin, `{"token": ..., "operations": [{"do": ..., ...}]}`, followed by the raw bytes of archives, if
any. The response is one JSON line on stdout, `{"results": [...]}`, with `"error": {"step", "message", "seen"}` if an
operation failed (the following ones were not started). `calls.py` lists all operations.

Invariants, also if a call is killed at any point:
- Files are replaced by a rename, with owner and mode set before; the previous version is kept in `previous/`.
- Required reloads and restarts are in `pending.json` before the first rename and are removed from it when done.
- Everything that needs disk space is written while staging, so a full disk stops a rollout before it changes anything.
"""
