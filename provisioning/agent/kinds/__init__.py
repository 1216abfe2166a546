"""The kinds of things, mirrored by name in `provisioning/kinds/`: each module answers `facts` and does its operation.

A module has `facts(node, questions)`, which changes nothing, and either `prepare(node, things)`, with all things of
the kind that follow each other, or `commit(node, thing)`, which returns what was done in words.
"""

from __future__ import annotations

import importlib
import re
from typing import Any


def get(kind: str) -> Any:
    """The module of that kind. Modules are loaded by name, so that a new one needs no list."""
    if not re.match(r"[a-z_]+\Z", kind):
        raise ValueError(f"{kind!r} cannot be the name of a kind")
    return importlib.import_module(f"{__name__}.{kind}")
