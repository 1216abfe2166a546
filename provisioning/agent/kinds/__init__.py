"""The node's side of each kind of item; `provisioning/kinds/` has a module of the same name.

A module has `facts(node, questions)`, which changes nothing, and either `prepare(node, items)`, which gets all
consecutive items of the kind, or `commit(node, item)`, which returns a description of each change. If an item has a
`removal()`, the module has `remove(node, entry)`, which returns a description of each change. A kind of health check
has `check(node, item)`, which returns results (`results.py`).
"""

from __future__ import annotations

import importlib
import re
from typing import Any


def get(kind: str) -> Any:
    """The module of that kind, imported by name. New modules need no registration."""
    if not re.match(r"[a-z_]+\Z", kind):
        raise ValueError(f"the name of a kind must consist of a to z and _ (got {kind!r})")
    return importlib.import_module(f"{__name__}.{kind}")
