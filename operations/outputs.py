"""The outputs of a stack as text, one line each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from operations.events import read_events
from operations.state_format import SIGNATURE, STACK


def to_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """One line for each output, sorted by name. Of a text with several lines, the first one."""
    width = max(map(len, values), default=0)
    for name, value in sorted(values.items()):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *more = text.splitlines() or [""]
        yield f"{name:<{width}}  {first}" + (f"  (+{len(more)} lines)" if more else "")


def read_changed_outputs(event_log: Iterable[str]) -> dict[str, Any]:
    """The outputs that a successful run has changed. Contains no secret."""
    changed: dict[str, Any] = {}
    for event in read_events(event_log):
        metadata = (event.get("resOutputsEvent") or {}).get("metadata") or {}
        if metadata.get("type") == STACK:
            old, new = ((metadata.get(side) or {}).get("outputs") or {} for side in ("old", "new"))
            changed = {name: _mask(value) for name, value in new.items() if name not in old or old[name] != value}
    return changed


def _mask(value: Any) -> Any:
    """Show secrets as `tandem outputs` does. The engine has left out their content, but not their form in the state."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return "[secret]" if SIGNATURE in fields else {name: _mask(each) for name, each in fields.items()}
    return [_mask(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value
