"""Injected faults of API calls: an error code, latency, stale data, a dropped or truncated response; N times, or by
chance.
"""

from __future__ import annotations

import asyncio
import fnmatch
import random
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


@dataclass(slots=True)
class ApiFault:
    """`target` is `vpc:CreateVpc`, `vpc:*` or `*`; shell patterns. `times` 0 means until cleared."""

    target: str
    code: str = ""
    message: str = "Fault injected by localcloud."
    latency_ms: float = 0.0
    drop: bool = False  # close the connection after the request was executed
    half: bool = False  # close it in the middle of the response
    stale_ms: float = 0.0  # Describe* returns the records of this time ago, at most LONGEST_PAST_S
    times: int = 1
    probability: float = 1.0
    number: int = 0

    @property
    def breaks_connection(self) -> bool:
        return self.drop or self.half


class ApiFaults:
    """The active faults, in order; the first match applies to a request."""

    def __init__(self, seed: int = 0) -> None:
        self._faults: list[ApiFault] = []
        self._numbers = 0
        self._chance = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret

    def add(self, fault: ApiFault) -> ApiFault:
        self._numbers += 1
        fault.number = self._numbers
        self._faults.append(fault)
        return fault

    def clear(self) -> int:
        """Remove all faults; return their number."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def all(self) -> list[dict[str, Any]]:
        """Return all active faults as JSON-able data."""
        return [asdict(fault) for fault in self._faults]

    def draw(self, service: str, action: str) -> ApiFault | None:
        """Return the fault that applies to this request, if any."""
        for fault in self._faults:
            if not fnmatch.fnmatchcase(f"{service}:{action}", fault.target):
                continue
            if fault.probability < 1.0 and self._chance.random() >= fault.probability:
                continue
            if fault.times:
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
            return fault
        return None


class ConnectionBrokenError(Exception):
    """Raised in a server that does not allow closing its connection: it responds with status 500 instead."""


class BrokenResponse(Response):
    def __init__(self, content: bytes, fault: ApiFault) -> None:
        super().__init__(content, media_type="application/json")
        self._half = fault.half

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of the response, or nothing, and close the connection."""
        del scope
        if self._half:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            half = bytes(self.body)[: len(self.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
        # ASGI has no message for closing a connection; uvicorn's `receive` is a method of the object that has it.
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if not isinstance(transport, asyncio.Transport):
            raise ConnectionBrokenError
        transport.close()
        await receive()  # until uvicorn has noticed, or it would respond with status 500
