"""`tandem:rollout`: how changes reach the nodes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from settings.base import FrozenModel

Unreachable = Literal["stop", "skip"]


class RolloutSettings(FrozenModel):
    unreachable: Unreachable = Field(
        default="stop",
        description="What a rollout does if a node cannot be reached: `stop` (nothing changes) or `skip` (the other "
        "nodes are completed, the output `incomplete` names the node, and the next `up` completes it). A change of "
        "keepalived's configuration always stops if an eligible node cannot be reached; a rotation of the deployment "
        "key always stops if any node cannot be reached.",
    )
