"""The open-loop load against a TLS server on this host that closes, delays or refuses."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trustme

from operations.drill.requests import Record, Sender, Stream
from operations.drill.result import Result
from operations.drill.streams import plain_streams

HOST = "iam.api.example.com"
AUTHORITY = trustme.CA()
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Counts connections and requests. `delay_s` is the time before each response."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[str] = []
        self.delay_s = 0.0
        self.responses_before_close = 1000  # then the connection is reset when the next request arrives
        self.body = b'{"status":"ok"}'
        self.head = b""  # of a response without a body
        self.raw = b""  # a whole response, after which the connection is closed

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        answered = 0
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                text = head.decode()
                length = next((int(line[15:]) for line in text.split("\r\n") if line.startswith("Content-Length:")), 0)
                await reader.readexactly(length)
                if answered >= self.responses_before_close:
                    break
                answered += 1
                self.requests.append(text.split("\r\n")[0])
                await asyncio.sleep(self.delay_s)
                if self.head:
                    writer.write(self.head)
                    continue
                if self.raw:
                    writer.write(self.raw)
                    await writer.drain()
                    writer.close()
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(self.body), self.body))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError):
            pass  # the client has closed the connection, or the test ends
        finally:
            if not self.raw:
                writer.transport.abort()


def run(use: Callable[[Sender, Server], Awaitable[None]], *, timeout_s: float = 5) -> list[Record]:
    """Run `use` with a client of a local server. Returns what was recorded."""
    out = io.StringIO()

    async def main() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        AUTHORITY.issue_cert(HOST).configure_cert(context)
        server = Server()
        listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context)
        port = listening.sockets[0].getsockname()[1]
        authority = AUTHORITY.cert_pem.bytes().decode()
        sender = Sender("127.0.0.1", authority, out, timeout_s=timeout_s, port=port)
        await use(sender, server)
        sender.close()
        await asyncio.sleep(0)  # aborted transports are closed in the next turn of the loop
        listening.close()

    asyncio.run(main())
    return [Record(**json.loads(line)) for line in out.getvalue().splitlines()]


def kept(**options: Any) -> Stream:
    return Stream("kept", 50, HOST, "/healthz", keep_alive=True, **options)


async def send_for(sender: Sender, seconds: float, *streams: Stream) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await sender.run(streams, stop)


def test_requests_leave_at_their_rate_although_responses_are_late() -> None:
    async def use(sender: Sender, server: Server) -> None:
        server.delay_s = 0.4
        await send_for(sender, 0.5, Stream("slow", 40, HOST, "/healthz"))

    records = run(use)
    assert 5 < len(records) <= 23, "one after the other would be 2 in this time"
    result = Result(records)
    assert (len(result.lost()), len(result.slow())) == (0, len(records))


def test_new_connections_are_opened_for_each_request_and_kept_ones_used_again() -> None:
    seen: dict[str, int] = {}

    async def use(sender: Sender, server: Server) -> None:
        for stream in plain_streams(HOST, "/healthz", 0.1):
            before = server.connections
            for _ in range(5):
                await sender.ask(stream)
            seen[stream.name] = server.connections - before

    run(use)
    assert list(seen.values()) == [5, 1]


def test_requests_to_a_site_are_recorded_as_such() -> None:
    records = run(lambda sender, _: send_for(sender, 0.05, *plain_streams(HOST, "/", 0.5, any_answer=True)))
    assert records
    assert all(record.any_answer for record in records)


def test_a_get_on_a_connection_that_was_reset_is_repeated_on_a_new_one() -> None:
    async def use(sender: Sender, server: Server) -> None:
        server.responses_before_close = 1
        for _ in range(3):
            assert (await sender.ask(kept())).status == 200
        assert server.connections == 3

    run(use)


def test_a_post_on_a_connection_that_was_reset_is_not_repeated() -> None:
    async def use(sender: Sender, server: Server) -> None:
        server.responses_before_close = 1
        post = kept(method="POST", body={"a": 1}, idempotent=False)
        assert (await sender.ask(post)).status == 200
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await sender.ask(post)
        assert server.requests == ["POST /healthz HTTP/1.1"]

    run(use)


def test_a_request_without_a_response_is_recorded_after_its_time_out() -> None:
    async def use(sender: Sender, server: Server) -> None:
        server.delay_s = 30
        await send_for(sender, 0.05, Stream("hung", 20, HOST, "/healthz"))

    (record, *_) = run(use, timeout_s=0.3)
    assert record.status == 0
    assert "TimeoutError" in record.error
    assert record.took == pytest.approx(0.3, abs=0.25)


def test_a_response_with_the_wrong_content_is_not_correct() -> None:
    async def use(sender: Sender, server: Server) -> None:
        server.body = b'{"allowed":false}'
        await send_for(sender, 0.05, kept(expected=b'"allowed":true'))

    (record, *_) = run(use)
    assert (record.status, record.error) == (0, "unexpected response: b'{\"allowed\":false}'")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", id="cut between chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", id="a length that is not a number"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % (b"x" * 200_000), id="a head without an end"),
    ],
)
def test_a_malformed_response_is_lost_and_does_not_end_the_load(response: bytes) -> None:
    async def use(sender: Sender, server: Server) -> None:
        server.raw = response
        await send_for(sender, 0.12, Stream("site", 20, HOST, "/"))

    records = run(use)
    assert len(records) >= 2
    assert all(record.status == 0 and "cut off or is malformed" in record.error for record in records)


def test_a_response_without_a_body_is_complete_with_its_head() -> None:
    async def use(sender: Sender, server: Server) -> None:
        server.head = b"HTTP/1.1 204 No Content\r\n\r\n"
        for _ in range(2):
            assert (await sender.ask(kept())).status == 204
        assert server.connections == 1

    run(use, timeout_s=1)
