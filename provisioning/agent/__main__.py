"""Handles one call from `transport.py`: reads the request from stdin, writes the response to stdout."""

from __future__ import annotations

import json
import os
import sys

from .calls import answer
from .node import Node

os.umask(0o022)
_request = json.loads(sys.stdin.buffer.readline())
sys.stdout.write(json.dumps(answer(Node(stdin=sys.stdin.buffer), _request)) + "\n")
