"""What a run shows: a line per step, then a summary like Pulumi's. Thread-safe."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Literal

from rich.console import Console
from rich.text import Text

from localcloud.engine.urns import name_of, type_of
from localcloud.engine.values import mask

Operation = Literal["create", "update", "delete", "replace", "same", "adopt", "discard"]

_SIGN: Final[dict[Operation, tuple[str, str]]] = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "replace": ("+-", "magenta"),
    "same": (" ", "dim"),
    "adopt": ("=", "cyan"),
    "discard": ("--", "red"),  # the old one of a replacement; counted with its replacement
}
_STACK: Final = "pulumi:pulumi:Stack"
_SHOWN: Final = 160  # characters of an output; `output` prints the whole of it
_DOING: Final = {
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "replace": "replacing",
    "adopt": "adopting",
    "discard": "deleting the replaced",
}
_DONE: Final = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "adopt": "adopted",
    "discard": "deleted the replaced",
}
_PLANNED: Final = {
    "create": "to create",
    "update": "to update",
    "delete": "to delete",
    "replace": "to replace",
    "adopt": "to adopt",
    "discard": "to delete once replaced",
}


class Display:
    """Plain lines, coloured where the output is a terminal."""

    def __init__(self, *, preview: bool, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._preview = preview
        self._mutex = threading.Lock()
        self._counts: Counter[Operation] = Counter()
        self._began: dict[tuple[str, Operation], float] = {}
        self._start = time.monotonic()
        self.errors = 0
        self.touched = False  # something was begun that is more than the engine's own note of the stack

    def header(self, command: str, project: str, stack: str) -> None:
        who = "by localcloud's engine (for localcloud only, not Pulumi's)"
        self._line(Text(f"{command} {project}/{stack} {who}", "bold"))

    def begin(self, operation: Operation, urn: str, detail: str = "") -> None:
        self._began[urn, operation] = time.monotonic()
        self.touched |= type_of(urn) != _STACK
        self._step(operation, urn, _PLANNED[operation] if self._preview else _DOING[operation], detail)

    def done(self, operation: Operation, urn: str) -> None:
        took = time.monotonic() - self._began.pop((urn, operation), time.monotonic())
        with self._mutex:
            self._counts[operation] += 1
        self._step(operation, urn, f"{_DONE[operation]} ({took:.1f}s)")

    def count(self, operation: Operation) -> None:
        """Count a step that is not worth a line, or that a preview only names."""
        with self._mutex:
            self._counts[operation] += 1

    def not_begun(self, operation: Operation, urn: str) -> None:
        self._began.pop((urn, operation), None)
        self._step(operation, urn, "not begun: the run is stopping")

    def failed(self, operation: Operation, urn: str, message: str) -> None:
        self._began.pop((urn, operation), None)
        self._step(operation, urn, f"{_DOING.get(operation, operation)} failed")
        self.error(message, urn)

    def error(self, message: str, urn: str = "") -> None:
        self.errors += 1
        self._message("error", "bold red", message, urn)

    def warning(self, message: str, urn: str = "") -> None:
        self._message("warning", "yellow", message, urn)

    def info(self, message: str, urn: str = "") -> None:
        self._message("info", "dim", message, urn)

    def plain(self, message: str) -> None:
        self._line(Text(message))

    def outputs(self, outputs: Mapping[str, Any]) -> None:
        if not outputs:
            return
        self._line(Text("\nOutputs:", "bold"))
        width = max(len(name) for name in outputs)
        for name, value in sorted(mask(outputs).items()):
            shown = json.dumps(value, ensure_ascii=False)
            more = "..." if len(shown) > _SHOWN else ""
            self._line(Text(f"    {name:{width}}: {shown[:_SHOWN]}{more}"))

    def summary(self) -> None:
        """`+ 23 created`, `~ 1 updated`, `23 unchanged`, and how long it took."""
        words = _PLANNED if self._preview else _DONE
        self._line(Text("\nResources:", "bold"))
        for operation in ("create", "adopt", "update", "replace", "delete"):
            if self._counts[operation]:
                sign, colour = _SIGN[operation]
                self._line(Text(f"    {sign} {self._counts[operation]} {words[operation]}", colour))
        if self._counts["same"]:
            self._line(Text(f"    {self._counts['same']} unchanged"))
        self._line(Text(f"\nDuration: {time.monotonic() - self._start:.1f}s"))

    def _step(self, operation: Operation, urn: str, state: str, detail: str = "") -> None:
        sign, colour = _SIGN[operation]
        text = Text(f" {sign:<2} ", colour)
        text.append(f"{type_of(urn)} ", "dim")
        text.append(f"{name_of(urn)} ", "bold")
        text.append(state, colour)
        if detail:
            text.append(f" {detail}", "dim")
        self._line(text)

    def _message(self, kind: str, colour: str, message: str, urn: str) -> None:
        text = Text(f"{kind}: ", colour)
        if urn:
            text.append(f"{urn}:\n  ", "bold")
        text.append(message.rstrip())
        self._line(text)

    def _line(self, text: Text) -> None:
        with self._mutex:
            self._console.print(text)
