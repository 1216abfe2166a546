"""The node that an operator keeps out of service with `tandem drain`, as far as this node has a part in it."""

from __future__ import annotations

import json
from typing import Any

from .drained import drained_routers
from .node import Node
from .put_back_timer import KEPT_OUT
from .upstreams import originals


def kept_out(node: Node) -> dict[str, Any]:
    """Its name as `node`, and `until` in seconds since 1970; {} without one, or after a rollout has put it back."""
    if not drained_routers(node) and not originals(node):
        return {}
    return json.loads(node.read(KEPT_OUT) or "{}")
