"""Replays a recorded session of the real provider; recorded ids are replaced by the ids of this run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.localcloud.api.lab import PUBLIC_KEY

TRACE = Path(__file__).parent / "data" / "trace.jsonl"

_ID = re.compile(r"(vpc|subnet|rtb|sg|skey|ps|ins|disk|havip|eip|nat|snat|rti|lb|lbl|notice|policy|eni)-[0-9a-z]{8}")


def recorded() -> list[dict[str, Any]]:
    """Return every request of the recording with its response, in order."""
    return [json.loads(line) for line in TRACE.read_text(encoding="utf-8").splitlines()]


@dataclass
class Translation:
    """Maps values of the recording to values of this run."""

    known: dict[Any, Any] = field(default_factory=dict[Any, Any])
    last_request_id: str = ""
    tokens: int = 0

    def request(self, body: Any, name: str = "") -> Any:
        """Return a recorded body with the ids of this run."""
        if isinstance(body, dict):
            return {key: self.request(value, key) for key, value in body.items()}
        if isinstance(body, list):
            return [self.request(value, name) for value in body]
        if name == "PublicKey":
            return PUBLIC_KEY  # the recording has a shortened one, of a different type
        if name == "TTL":
            return max(body, 600)  # the recording's server had no plans
        if name == "ClientToken":
            self.tokens += 1
            return f"token-{self.tokens}"
        if name == "TaskId" and isinstance(body, str):
            return self.last_request_id  # the load balancer's task is its request
        if isinstance(body, str):
            return self._text(body)
        if name in {"TaskId", "RouteId", "RouteIds", "RecordId"}:
            return self.known.get(str(body), body)
        return body

    def _text(self, text: str) -> str:
        text = _ID.sub(lambda found: self.known.get(found[0], found[0]), text)
        return re.sub(r"203\.0\.113\.\d+", lambda found: self.known.get(found[0], found[0]), text)

    def learn(self, theirs: Any, ours: Any, name: str = "") -> None:
        """Pair the ids of a recorded response with those of this run."""
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for key, value in theirs.items():
                self.learn(value, ours.get(key), key)
        elif isinstance(theirs, list) and isinstance(ours, list):
            for one, other in zip(theirs, ours, strict=False):
                self.learn(one, other, name)
        elif isinstance(theirs, str) and isinstance(ours, str):
            if _ID.fullmatch(theirs) or theirs.startswith("203.0.113."):
                self.known.setdefault(theirs, ours)
            elif name == "TaskId":
                self.known[theirs] = int(ours)
        elif name in {"RouteId", "RecordId"} and isinstance(theirs, int):
            self.known[str(theirs)] = ours


def missing(theirs: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Return the paths of recorded members that the response lacks or has with another JSON type."""
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            yield f"{path}: {ours!r} is not an object"
            return
        for key, value in theirs.items():
            if key not in ours:
                yield f"{path}.{key} is not there"
            else:
                yield from missing(value, ours[key], f"{path}.{key}")
    elif isinstance(theirs, list):
        if not isinstance(ours, list):
            yield f"{path}: {ours!r} is not a list"
        elif theirs and ours:
            yield from missing(theirs[0], ours[0], f"{path}[0]")
        elif theirs:
            yield f"{path} is empty; recorded: {json.dumps(theirs[0])[:100]}"
    elif theirs is not None and type(theirs) is not type(ours):
        yield f"{path}: {ours!r}; recorded: {theirs!r}"
