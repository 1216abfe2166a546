"""Applies a plan: preparation, which does not affect running services, and the commit of the staged candidates."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from typing import Any

from . import applied, cloud_init, kinds, previous
from .files import sync_all
from .node import Node
from .systemd import catch_up, read_pending, settle


def prepare(node: Node, *, items: list[dict[str, Any]]) -> None:
    """Prepare consecutive items of one kind together, for example all packages with one installation."""
    cloud_init.wait_until_finished(node)
    for kind, group in itertools.groupby(items, key=lambda item: item["kind"]):
        kinds.get(kind).prepare(node, list(group))


def commit(
    node: Node, *, actions: list[dict[str, Any]], record: list[dict[str, Any]], postponed: list[str]
) -> list[str]:
    """Activate the staged candidates in order. Returns a description of each change.

    `record` names all items of the manifest (applied.py). `postponed` actions stay pending.
    """
    previous.activate(node)
    applied.add(node, record)
    with contextlib.suppress(FileNotFoundError):
        node.state_path("pending.next.json").replace(node.state_path("pending.json"))
    done: list[str] = []
    for action in actions:
        done += kinds.get(action["kind"]).commit(node, action)
    for after in read_pending(node):  # of units that the manifest no longer names
        done += settle(node, after) if after not in postponed else []
    catch_up(node)
    sync_all(node, node.unsynced)
    shutil.rmtree(node.state_path("staged"), ignore_errors=True)
    return done
