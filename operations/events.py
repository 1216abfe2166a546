"""The changes of a preview, read from the engine's event log. The engine has replaced secrets by `[secret]`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operations.state_format import ROLLOUT

_COLOUR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")
# The steps of one replacement, and the step that stands for all of them.
_REPLACEMENT = {"create-replacement", "delete-replaced", "discard-replaced", "import-replacement", "replace"}
# Steps of data sources; a refresh reports its changes as updates.
_UNSEEN = {"read", "read-replacement", "read-discard"}
# Of an error of the program. The SDK may have reported the error too, without it.
_PREFIX = "an unhandled error occurred:"


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What a run would do to one resource."""

    urn: str
    type: str  # as the program names it: "tencentcloud:Vpc/instance:Instance", "tandem:Rollout"
    operation: str  # same, create, update, delete, replace, ...
    old: Mapping[str, Any] = field(default_factory=dict[str, Any])  # inputs
    new: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    def changed_keys(self) -> list[str]:
        """The inputs that differ, in order. Pulumi's own start with `__`."""
        keys = dict.fromkeys([*self.old, *self.new])
        return [key for key in keys if not key.startswith("__") and self.old.get(key) != self.new.get(key)]


@dataclass(frozen=True, slots=True)
class Preview:
    """The result of one preview."""

    changes: tuple[ResourceChange, ...]  # including resources that stay the same
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def rollout(self) -> ResourceChange | None:
        """The resource with the rendered files of all nodes."""
        return next((change for change in self.changes if change.type == ROLLOUT), None)


def read_events(event_log: Iterable[str]) -> list[dict[str, Any]]:
    """Parse an event log: one event in JSON on each line. The last line of a killed engine may be incomplete."""
    lines = [line for line in event_log if line.strip()]
    events: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(json.loads(line))
        except ValueError:
            if number < len(lines):
                raise
    return events


def read_preview(event_log: Iterable[str]) -> Preview:
    """Read an event log: one event in JSON on each line."""
    events = read_events(event_log)
    changes: dict[str, ResourceChange] = {}
    for event in events:
        metadata = (event.get("resourcePreEvent") or {}).get("metadata")
        if metadata and metadata["op"] not in _UNSEEN:
            change = _change(metadata)
            # Of the steps of a replacement, keep one that has the old and the new inputs.
            if change.urn not in changes or (change.old and change.new):
                changes[change.urn] = change
    return Preview(tuple(changes.values()), tuple(_messages(events, "warning")), tuple(_messages(events, "error")))


def without_colours(text: str) -> str:
    return _COLOUR.sub("", text)


def _change(metadata: Mapping[str, Any]) -> ResourceChange:
    operation = "replace" if metadata["op"] in _REPLACEMENT else str(metadata["op"])
    inputs = [(metadata.get(side) or {}).get("inputs") or {} for side in ("old", "new")]
    type_ = str(metadata["type"]).removeprefix("pulumi-python:dynamic/")
    return ResourceChange(metadata["urn"], type_, operation, *inputs)


def _messages(events: Iterable[Mapping[str, Any]], severity: str) -> list[str]:
    found = [
        without_colours(event["diagnosticEvent"]["message"]).strip().removeprefix(_PREFIX).strip()
        for event in events
        if (event.get("diagnosticEvent") or {}).get("severity") == severity
    ]
    return list(dict.fromkeys(text for text in found if text))
