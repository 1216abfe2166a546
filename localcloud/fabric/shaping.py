"""Bandwidth of public addresses: not limited yet."""

from __future__ import annotations

from localcloud.fabric.namespaces import Namespaces
from localcloud.world import Vpc


def shape(namespaces: Namespaces, vpc: Vpc) -> None:
    """Nothing is limited yet."""
    del namespaces, vpc
