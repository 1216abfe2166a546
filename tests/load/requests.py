"""Sends the requests of several streams at fixed rates and records each one."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO

import httpx

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests of one kind."""

    name: str  # "healthz"
    rate: float  # requests per second
    host: str  # the domain, for TLS and the Host header
    path: str
    method: str = "GET"
    body: object = None
    keep_alive: bool = False  # False: a new TLS connection for each request
    headers: Callable[[], Mapping[str, str]] = field(default=dict[str, str])  # read when a request leaves
    refused: Callable[[], Awaitable[None]] | None = None  # called after a 401, for example to log in again


@dataclass(frozen=True, slots=True)
class Record:
    """One request."""

    stream: str
    began: float  # seconds since the epoch
    took: float  # seconds until the whole response had arrived, or until the failure
    status: int  # 0 without a response
    error: str = ""


class Sender:
    """Sends the requests to one public IP."""

    def __init__(self, address: str, ca_certificate: str, out: IO[str]) -> None:
        self._address, self._out = address, out
        context = ssl.create_default_context(cadata=ca_certificate)
        unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=200)
        single = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._kept = httpx.AsyncClient(verify=context, timeout=TIMEOUT_S, limits=unlimited, trust_env=False)
        self._new = httpx.AsyncClient(verify=context, timeout=TIMEOUT_S, limits=single, trust_env=False)

    async def close(self) -> None:
        await self._kept.aclose()
        await self._new.aclose()

    async def ask(self, stream: Stream) -> httpx.Response:
        client = self._kept if stream.keep_alive else self._new
        headers = {"Host": stream.host, **stream.headers()}
        extensions = {"sni_hostname": stream.host}
        url = f"https://{self._address}{stream.path}"
        return await client.request(stream.method, url, headers=headers, json=stream.body, extensions=extensions)

    async def run(self, streams: Sequence[Stream], stop: asyncio.Event) -> None:
        """Send until `stop` is set, then wait for the requests in progress."""
        async with asyncio.TaskGroup() as group:
            for stream in streams:
                group.create_task(self._run_stream(stream, stop))

    async def _run_stream(self, stream: Stream, stop: asyncio.Event) -> None:
        began = asyncio.get_running_loop().time()
        number = 0
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                group.create_task(self._record(stream))
                number += 1
                pause = began + number / stream.rate - asyncio.get_running_loop().time()
                await asyncio.sleep(max(0.0, pause))

    async def _record(self, stream: Stream) -> None:
        began, clock = time.time(), time.monotonic()
        status, error = 0, ""
        try:
            status = (await self.ask(stream)).status_code
        except httpx.HTTPError as failed:
            error = f"{type(failed).__name__}: {failed}"
        record = Record(stream.name, began, time.monotonic() - clock, status, error)
        self._out.write(json.dumps(asdict(record)) + "\n")
        if status == 401 and stream.refused is not None:
            await stream.refused()
