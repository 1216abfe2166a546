"""An SSH connection to one node, and the agents that run on the node behind its channels.

An agent is sent once and then serves one call after another. Calls at the same time use one agent each.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import paramiko

from provisioning.errors import NodeError, UnreachableError
from provisioning.inventory import RemoteNode
from provisioning.ssh.agent_calls import CALL_DEADLINE_S, Upload, agent_program, node_name, python_command, to_exception
from provisioning.ssh.liveness import ASK_EVERY_S, SILENT_AFTER_S, Liveness

# With UseDNS, sshd looks up the client's name before it accepts a login: 10 to 20 s if the node's resolver is down.
CHANNEL_DEADLINE_S = 30.0
# The connection itself breaks earlier if the node is dead (liveness.py); this is for a node that reads no more.
STALLED_AFTER_S = 120.0
_BLOCK = 1 << 18
_BROKEN = (paramiko.SSHException, EOFError, OSError)


class SshConnection:
    """An SSH connection to one node, direct or through a bastion."""

    def __init__(
        self, node: RemoteNode, transport: paramiko.Transport, on_close: Callable[[], None] = lambda: None
    ) -> None:
        self.node = node
        self._transport = transport
        self._on_close = on_close
        self.stalled_after_s = STALLED_AFTER_S
        self.channel_deadline_s = CHANNEL_DEADLINE_S
        self.watch(ASK_EVERY_S, SILENT_AFTER_S)
        self._lock = threading.Lock()
        self._idle: list[_Agent] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def watch(self, ask_every_s: float, silent_after_s: float) -> None:
        """End the calls of a node that is silent for this time."""
        self._liveness = Liveness(self._transport, ask_every_s, silent_after_s)

    def close(self) -> None:
        self._transport.close()
        on_close, self._on_close = self._on_close, lambda: None
        on_close()

    def call(
        self,
        operations: Sequence[dict[str, Any]],
        *,
        token: str = "",
        upload: Upload | None = None,
        deadline_s: float = CALL_DEADLINE_S,
        report: Callable[[str], None] = lambda _line: None,
    ) -> list[Any]:
        step = operations[0]["do"]
        try:
            agent = self._take_agent()
            sending = agent.send({"token": token, "operations": list(operations)}, upload)
            answer = agent.read_response(sending, _Limits(deadline_s, self.stalled_after_s, self._liveness), report)
        except TimeoutError as late:
            raise _late(self.node, str(late)) from None
        except _BROKEN as error:
            raise _broken(self.node, error, step) from None
        if answer is None:
            raise _ended(self.node, step, *agent.ended())
        if upload is None:
            with self._lock:
                self._idle.append(agent)
        else:
            agent.close()  # after a failed upload, the rest of the file would be read as a request
        if "error" in answer:
            raise to_exception(self.node, answer["error"])
        return answer["results"]

    def _take_agent(self) -> _Agent:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        command = python_command() if self.node.user == "root" else f"sudo -n {python_command()}"
        return _Agent(self._open(command))

    def _open(self, command: str) -> paramiko.Channel:
        channel = self._transport.open_session(timeout=self.channel_deadline_s)
        # exec_command waits for the answer without a deadline. It ends when the channel is closed.
        timer = threading.Timer(self.channel_deadline_s, channel.close)
        timer.start()
        try:
            channel.exec_command(command)
        finally:
            timer.cancel()
        return channel

    def run(self, command: str, stdin: bytes = b"", *, deadline_s: float = CALL_DEADLINE_S) -> tuple[str, str, int]:
        """Run a command and return its stdout, stderr and exit code (-1: unknown).

        Raises:
            UnreachableError: the connection broke, or the command did not end before the deadline.
        """
        try:
            with self._open(command) as channel:
                streams = _Streams(channel)
                sending = _Sending(channel, stdin, None)
                sending.start(then_end=True)
                streams.read_until(
                    lambda: False, lambda: sending.check(_Limits(deadline_s, self.stalled_after_s, self._liveness))
                )
                code = _exit_code(channel)
        except TimeoutError as late:
            raise _late(self.node, str(late)) from None
        except _BROKEN as error:
            raise _broken(self.node, error) from None
        return streams.out.decode(errors="replace"), streams.err.decode(errors="replace"), code


class _Agent:
    """An agent that runs on the node, behind one channel."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._streams = _Streams(channel)
        self._unsent = agent_program()
        self._mark = ""

    def close(self) -> None:
        self._channel.close()

    def send(self, request: dict[str, Any], upload: Upload | None) -> _Sending:
        """Start to send a request."""
        self._mark = f"tandem-{secrets.token_hex(8)}:"
        data, self._unsent = self._unsent + json.dumps({"mark": self._mark, **request}).encode() + b"\n", b""
        sending = _Sending(self._channel, data, upload)
        sending.start()
        return sending

    def read_response(self, sending: _Sending, limits: _Limits, report: Callable[[str], None]) -> dict[str, Any] | None:
        """Return the response; None if the agent has ended. Raises TimeoutError."""
        response: dict[str, Any] | None = None

        def has_responded() -> bool:
            nonlocal response
            for line in self._streams.take_lines(self._mark.encode()):
                if "progress" in line:
                    report(line["progress"])
                else:
                    response = line
            return response is not None

        try:
            self._streams.read_until(has_responded, lambda: sending.check(limits))
        except TimeoutError:
            self.close()  # the call may still run; its response must not be read as that of another call
            raise
        return response

    def ended(self) -> tuple[str, int]:
        """The last output of an agent that ended without a response, and its exit code."""
        output = self._streams.err.decode(errors="replace").splitlines()[-12:]
        return "\n".join(output) or self._streams.out[-500:].decode(errors="replace"), _exit_code(self._channel)


class _Limits(NamedTuple):
    deadline_s: float  # for the call; after an upload, from its end
    stalled_after_s: float
    liveness: Liveness


class _Sending:
    """Sends data in a separate thread: a command that ends early or writes much output must not block."""

    def __init__(self, channel: paramiko.Channel, data: bytes, upload: Upload | None) -> None:
        self._channel, self._data, self._upload = channel, data, upload
        self._moved_at = time.monotonic()
        self._position = upload.offset if upload else 0
        self._uploading = upload is not None

    def start(self, *, then_end: bool = False) -> None:
        threading.Thread(target=self._send, args=(then_end,), daemon=True).start()

    def check(self, limits: _Limits) -> float:
        """Return the seconds until the call is late. While a file is sent, only a stalled transfer is late.

        Raises TimeoutError.
        """
        limits.liveness.check(self._moved_at)
        limit = limits.stalled_after_s if self._uploading else limits.deadline_s
        left = self._moved_at + limit - time.monotonic()
        if left > 0:
            return left
        if self._uploading:
            raise TimeoutError(f"the transfer stopped for {limit:.0f} s after {self._position / (1 << 20):.1f} MiB")
        raise TimeoutError(f"the call did not end within {limit:.0f} s")

    def _send(self, then_end: bool) -> None:  # noqa: FBT001 - passed on by Thread, which takes no keywords here
        with contextlib.suppress(*_BROKEN):  # the reader reports the broken connection
            self._channel.sendall(self._data)
            if self._upload is not None:
                self._send_file(self._upload)
            if then_end:
                self._channel.shutdown_write()

    def _send_file(self, upload: Upload) -> None:
        with upload.source.open("rb") as file:
            file.seek(upload.offset)
            while block := file.read(_BLOCK):
                self._channel.sendall(block)
                self._position += len(block)
                self._moved_at = time.monotonic()
                upload.sent(self._position)
        self._uploading = False


class _Streams:
    """The output of a command."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self.out, self.err = bytearray(), bytearray()
        self._arrived = threading.Event()
        # paramiko signals new data in a buffer through an event; both streams share this one, so no polling is needed.
        for stream in (channel.in_buffer, channel.in_stderr_buffer):
            stream.set_event(self._arrived)

    def read_until(self, done: Callable[[], bool], check: Callable[[], float]) -> None:
        """Read until `done`, or until the command has ended. `check` returns the seconds left, or raises an error."""
        channel = self._channel
        while True:
            self._arrived.clear()
            if self._read():
                if done():
                    return
                continue
            if channel.closed or (channel.eof_received and channel.exit_status_ready()):
                return
            self._arrived.wait(min(check(), 0.05 if channel.eof_received else 1.0))

    def _read(self) -> bool:
        before = len(self.out) + len(self.err)
        while self._channel.recv_ready():
            self.out += self._channel.recv(_BLOCK)
        while self._channel.recv_stderr_ready():
            self.err += self._channel.recv_stderr(_BLOCK)
        return len(self.out) + len(self.err) > before

    def take_lines(self, mark: bytes) -> list[dict[str, Any]]:
        """Remove the complete lines with that mark, and everything before them, such as the output of login files."""
        lines: list[dict[str, Any]] = []
        # A request that is echoed contains the mark too, but not before a brace.
        while (begin := self.out.find(mark + b"{")) >= 0 and (end := self.out.find(b"\n", begin)) >= 0:
            lines.append(json.loads(self.out[begin + len(mark) : end]))
            del self.out[: end + 1]
        return lines


def _exit_code(channel: paramiko.Channel) -> int:
    return channel.recv_exit_status() if channel.exit_status_ready() else -1


# ---- errors ------------------------------------------------------------------------------------------------------


def _late(node: RemoteNode, reason: str) -> UnreachableError:
    return UnreachableError(f"{node_name(node)}: {reason}", look_at="tandem health; the node's load")


def _broken(node: RemoteNode, error: Exception, step: str = "") -> UnreachableError:
    during = f" during {step}" if step else ""
    return UnreachableError(
        f"{node_name(node)}: the SSH connection broke{during}", seen=f"{type(error).__name__}: {error}"
    )


def _ended(node: RemoteNode, step: str, output: str, code: int) -> UnreachableError | NodeError:
    if code < 0:
        return UnreachableError(f"{node_name(node)}: the SSH connection broke during {step}", seen=output)
    look_at = "python3 on that node; provisioning/agent/"
    if "sudo:" in output:
        look_at = f"sudo on that node: {node.user} needs NOPASSWD, and no requiretty"
    return NodeError(
        f"{node_name(node)}: the agent ended without a response during {step} (exit code {code})",
        seen=output or "no output",
        look_at=look_at,
    )
