"""What runs on a node: standard library only, Python 3.9 or later, JSON in, JSON out.

It is sent over SSH with every call, packed as one archive, so it always fits the operator's side. A call is one JSON
line on stdin, `{"token": ..., "operations": [{"do": ..., ...}]}`, followed by the raw bytes of archives, if any; the
answer is one JSON line on stdout, `{"results": [...]}`, with `"error": {"step", "message", "seen"}` when an operation
failed (those after it were not begun). `calls.py` names every operation.

What must always hold, wherever a call is killed:
- a file is replaced by a rename, its owner and mode set before; its previous version stays in `previous/`;
- what has to be reloaded or restarted is in `pending.json` before the first rename, and leaves it when done;
- everything that needs room on the disk is written while staging, so a full disk stops a rollout before it begins.
"""
