"""Restores the previous version of this node. Can be killed at any point: a repeated call continues.

The operator sends `roll_back` or `revert`, the health gates of the previous version, and `finish_rollback` in one call.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any, NamedTuple

from . import applied, previous
from .node import Node, StepError
from .serving import NODE_FILE
from .systemd import (
    add_pending,
    bring_up,
    catch_up,
    disable,
    merge,
    read_pending,
    read_unit_files,
    reset_crashes,
    settle,
    systemctl,
    unit_facts,
)


class _State(NamedTuple):
    enabled: bool
    running: bool


def roll_back(node: Node) -> list[str]:
    """Undo a commit that has not passed its health gates. Returns a description of each change.

    Files, links and units become as before the commit; what did not exist is removed, and what did not run is stopped
    and disabled. Raises StepError.
    """
    journal = node.read_json(previous.UNDO, None)
    if journal is None:
        return []
    if missing := previous.missing_targets(node, journal):
        raise StepError("rollback", f"{', '.join(missing)} of the previous version no longer exists")
    applied.add_again(node, journal.get("record", []))  # absent in journals of earlier versions
    # Before the first change, so that the next run performs what an interrupted rollback did not.
    add_pending(node, journal["actions"])
    read_unit_files(node)  # a commit that was interrupted may have enabled units that are shown as disabled
    states = _states_before(node, journal)
    done = _stop_new_units(node, states)
    done += previous.restore_paths(node, journal)
    return done + _settle_units(node, states)


def revert(node: Node, *, revision: str) -> list[str]:
    """Return from this revision, which has passed its health gates, to the previous one."""
    kept, undo = node.read_json(previous.PREVIOUS, None), node.read_json(previous.UNDO, None)
    if kept and kept["revision"] == revision and (undo is None or previous.is_repair(undo)):
        node.before("revert")
        if undo is not None:  # the repair may have stopped units that the previous version had started
            kept["units"] = {**undo["units"], **kept["units"]}
            node.write_json(previous.PREVIOUS, {**kept, "actions": merge(kept["actions"], undo["actions"])})
        node.state_path(previous.PREVIOUS).replace(node.state_path(previous.UNDO))
    return roll_back(node)


def finish_rollback(node: Node) -> None:
    """Record that the previous version has passed its health gates."""
    journal = node.read_json(previous.UNDO, None)
    if journal is None:
        return
    node.before("finish rollback")
    reset_crashes(node, list(journal["units"]))
    if journal["base"]:
        node.write_json(previous.REVISION, journal["base"])
    with contextlib.suppress(FileNotFoundError):
        node.state_path(previous.UNDO_NEXT).unlink()
    node.state_path(previous.UNDO).unlink()
    previous.remove_unused(node)


def _states_before(node: Node, journal: dict[str, Any]) -> dict[str, _State]:
    """The state of each unit before the commit, in the order of the commit.

    Units of the previous version run even if they had failed. Before a first rollout no unit is enabled: a package
    enables its unit when it is installed.
    """
    if not journal["base"]:
        return {
            unit: _State(before["enabled"] and before["running"], before["running"])
            for unit, before in journal["units"].items()
        }
    text = previous.kept_text(node, journal, NODE_FILE)
    units = json.loads((node.read(NODE_FILE) if text is None else text) or '{"units": []}')["units"]
    return {
        unit: _State(before["enabled"] or unit in units, before["running"] or unit in units)
        for unit, before in journal["units"].items()
    }


def _stop_new_units(node: Node, states: dict[str, _State]) -> list[str]:
    """Stop and disable the units that the commit has started, in reverse order, while their unit files exist."""
    now = unit_facts(node, list(states))
    done: list[str] = []
    for unit, before in reversed(list(states.items())):
        state = now.get(unit, {})
        if state.get("active") and not before.running:
            node.before("stop " + unit)
            systemctl(node, "stop", unit)
            done.append("stopped " + unit)
        if state.get("enabled") and not before.enabled:
            node.before("disable " + unit)
            done += disable(node, unit)
    return done


def _settle_units(node: Node, states: dict[str, _State]) -> list[str]:
    """Perform the pending actions, and start and enable the units as before. Raises the first error after all units."""
    done: list[str] = []
    errors: list[StepError] = []
    for unit, before in states.items():
        if before.running or before.enabled:
            try:
                done += bring_up(node, unit, enabled=before.enabled, running=before.running)
            except StepError as error:
                errors.append(error)
    if errors:
        raise errors[0]
    for action in read_pending(node):
        done += settle(node, action)
    catch_up(node)
    return done
