"""Sends the requests of several streams at fixed rates and records each one.

The connections are plain asyncio streams: with httpx, one process could send about 50 requests per second.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import IO, Any

_UNAUTHORIZED = 401
_WITHOUT_BODY = (204, 304)  # RFC 9112, 6.3
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


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
    # A request that meets the end of a kept connection is repeated on a new one, as HTTP clients do (RFC 9110, 9.2.2).
    idempotent: bool = True
    expected: bytes = b""  # must be in the body of a correct response
    any_answer: bool = False  # of a site, whose answers are not known: only an error of the server is wrong
    headers: Callable[[], Mapping[str, str]] = field(default=dict[str, str])  # read when a request leaves
    refused: Callable[[], Awaitable[None]] | None = None  # called after a 401, for example to log in again

    def request(self) -> bytes:
        body = b"" if self.body is None else json.dumps(self.body).encode()
        headers = {"Host": self.host, **self.headers()}
        if body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if not self.keep_alive:
            headers |= {"Connection": "close"}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    reusable: bool  # the connection may be used again

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Record:
    """One request."""

    stream: str
    began: float  # seconds since the epoch
    took: float  # seconds until the whole response had arrived, or until the failure
    status: int  # 0 without a response
    error: str = ""
    any_answer: bool = False  # see Stream


class Sender:
    """Sends the requests to one public IP."""

    def __init__(
        self,
        address: str,
        ca_certificate: str,
        out: IO[str],
        *,
        timeout_s: float = 10.0,
        sources: Sequence[str] = (),
        port: int = 443,
    ) -> None:
        """`ca_certificate` "" means the CAs of this computer. `sources` are local addresses to send from, in turn."""
        self._address, self._port, self._out, self._timeout_s = address, port, out, timeout_s
        self._sources = itertools.cycle([(source, 0) for source in sources] or [None])
        self._context = ssl.create_default_context(cadata=ca_certificate or None)
        self._idle: dict[str, list[Connection]] = {}  # by host
        self._refused = asyncio.Lock()

    async def ask(self, stream: Stream) -> Response:
        """Send one request and read the whole response. Raises: OSError, EOFError, TimeoutError."""
        async with asyncio.timeout(self._timeout_s):
            if stream.keep_alive and (kept := self._take_idle(stream.host)):
                try:
                    return await self._send(stream, kept)
                except (ConnectionError, asyncio.IncompleteReadError) as failed:
                    received = isinstance(failed, asyncio.IncompleteReadError) and failed.partial
                    if received or not stream.idempotent:
                        raise
            new = await asyncio.open_connection(
                self._address,
                self._port,
                ssl=self._context,
                server_hostname=stream.host,
                local_addr=next(self._sources),
            )
            return await self._send(stream, new)

    async def _send(self, stream: Stream, connection: Connection) -> Response:
        reader, writer = connection
        kept = False
        try:
            writer.write(stream.request())
            response = await _read_response(reader)
            kept = stream.keep_alive and response.reusable
        finally:
            if kept:
                self._idle.setdefault(stream.host, []).append(connection)
            else:
                writer.transport.abort()
        return response

    def _take_idle(self, host: str) -> Connection | None:
        idle = self._idle.get(host, [])
        while idle:
            reader, writer = idle.pop()
            if not reader.at_eof() and not writer.is_closing():  # a client does not use a connection closed by its peer
                return reader, writer
        return None

    def close(self) -> None:
        """End the idle connections."""
        for connections in self._idle.values():
            for _, writer in connections:
                writer.transport.abort()
        self._idle.clear()

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
            response = await self.ask(stream)
            status = response.status
            if stream.expected not in response.body:
                status, error = 0, f"unexpected response: {response.body[:100]!r}"
        except (OSError, EOFError) as failed:  # TimeoutError is an OSError
            error = f"{type(failed).__name__}: {failed}"
        record = Record(stream.name, began, time.monotonic() - clock, status, error, stream.any_answer)
        self._out.write(json.dumps(asdict(record)) + "\n")
        if status == _UNAUTHORIZED and stream.refused is not None and not self._refused.locked():
            async with self._refused:  # one login for all requests with the old token
                # The next refused request tries again.
                with suppress(OSError, EOFError, RuntimeError, ValueError, KeyError):
                    await stream.refused()


class MalformedResponseError(OSError):
    """The response was cut off, or is not HTTP."""


async def _read_response(reader: asyncio.StreamReader) -> Response:
    """Read one response. Raises OSError or EOFError."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = b"" if status in _WITHOUT_BODY else await _read_body(reader, headers)
    except (ValueError, IndexError, asyncio.LimitOverrunError) as error:
        raise MalformedResponseError(f"the response was cut off or is malformed: {error}") from None
    return Response(status, body, headers.get("connection", "").lower() != "close")


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if headers.get("transfer-encoding") == "chunked":
        return await _read_chunks(reader)
    return await reader.read()


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body
