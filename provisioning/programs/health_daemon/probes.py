"""HTTP probes over sockets that do not block, so that a silent target does not delay the probes of others."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections.abc import Callable

from .judgement import Tracker

# The packet rules let packets with this mark pass, so that servers that are out can be probed.
MARK = 0x74616E64  # "tand"

NGINX_REQUEST = b"GET /healthz HTTP/1.0\r\nHost: health\r\n\r\n"
# Answered with 404 by a node in FAULT: it cannot take over, although its nginx answers.
PEER_REQUEST = b"GET /healthz/able HTTP/1.0\r\nHost: health\r\n\r\n"
MASTER_REQUEST = "GET /healthz/master/{} HTTP/1.0\r\nHost: health\r\n\r\n"
_SERVER_ERROR = 500
_NO_HTTP = 1000


class Target:
    """What to probe. `host` learns whether the kernel of the target's host answers, `tracker` the rest.

    A `prompt` target fails with its first wrong or refused answer: it says itself that it cannot serve.
    """

    __slots__ = ("address", "host", "lowest_fault", "port", "prompt", "request", "tracker")

    def __init__(
        self, address: str, port: int, request: bytes, tracker: Tracker, *,
        host: Tracker | None = None, lowest_fault: int = _SERVER_ERROR, prompt: bool = False,
    ) -> None:  # fmt: skip
        """`request` is empty if an accepted connection is enough. A status from `lowest_fault` on is a failure."""
        self.address, self.port, self.request = address, port, request
        self.tracker, self.host, self.lowest_fault, self.prompt = tracker, host, lowest_fault, prompt


class _Probe:
    __slots__ = ("connected", "socket", "started", "target")

    def __init__(self, target: Target, started: float) -> None:
        self.target, self.started, self.connected = target, started, False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


class Prober:
    def __init__(self, set_mark: Callable[[socket.socket], None] | None = None) -> None:
        self._poll = select.poll()
        self._probes: dict[int, _Probe] = {}
        self._others: dict[int, Callable[[], None]] = {}
        self._set_mark = set_mark or mark

    def start(self, target: Target, now: float) -> None:
        probe = _Probe(target, now)
        target.tracker.started(now)
        if target.host:
            target.host.started(now)
        try:
            if target.host is None:
                self._set_mark(probe.socket)
            error = probe.socket.connect_ex((target.address, target.port))
        except OSError as failed:
            error = failed.errno or errno.EIO
        self._probes[probe.socket.fileno()] = probe
        if error not in (0, errno.EINPROGRESS):
            self._refused(probe, error)
            return
        try:
            # A connection inside this node is open by now, which saves a wait and four system calls.
            if target.request:
                self._send(probe)
        except BlockingIOError:
            pass
        except OSError as failed:
            self._refused(probe, failed.errno or errno.EIO)
            return
        self._poll.register(probe.socket, select.POLLIN if probe.connected else select.POLLOUT)

    @property
    def is_waiting(self) -> bool:
        return bool(self._probes)

    def wait(self, timeout_s: float) -> None:
        """Handle what arrives within this time, until the first answer."""
        for fd, _ in self._poll.poll(max(0.0, timeout_s * 1000)):
            other = self._others.get(fd)
            if other:
                other()
                continue
            probe = self._probes[fd]
            try:
                self._go_on(probe)
            except OSError as failed:
                self._refused(probe, failed.errno or errno.EIO)

    def expire(self, now: float) -> None:
        """Give up the probes that can no longer show that their target is healthy."""
        old = [each for each in self._probes.values() if now - each.started > each.target.tracker.patience_s]
        for probe in old:
            self._end(probe, f"no answer for {probe.target.tracker.patience_s * 1000:.0f} ms", answered=False)

    def watch(self, each: socket.socket, ready: Callable[[], None], writing: bool) -> None:  # noqa: FBT001 - passed as a callback
        """Call `ready` when this socket can be written, or has data."""
        self._others[each.fileno()] = ready
        self._poll.register(each, select.POLLOUT if writing else select.POLLIN)

    def forget(self, each: socket.socket) -> None:
        if self._others.pop(each.fileno(), None):
            self._poll.unregister(each)

    def _go_on(self, probe: _Probe) -> None:
        target = probe.target
        if not probe.connected:
            error = probe.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self._refused(probe, error)
                return
            if target.request:
                self._send(probe)
                self._poll.modify(probe.socket, select.POLLIN)
                return
            if target.host:
                target.host.answered(probe.started, ok=True)
            self._end(probe)
            return
        status = _status(probe.socket.recv(64))
        if status < target.lowest_fault:
            self._end(probe)
        else:
            self._end(probe, f"answered with status {status}" if status < _NO_HTTP else "did not answer in HTTP")

    def _send(self, probe: _Probe) -> None:
        """Raises BlockingIOError while the connection is not open."""
        probe.socket.send(probe.target.request)
        probe.connected = True
        if probe.target.host:
            probe.target.host.answered(probe.started, ok=True)

    def _refused(self, probe: _Probe, error: int) -> None:
        if probe.target.host:
            # A host that resets the connection is alive.
            is_alive = error in (errno.ECONNREFUSED, errno.ECONNRESET)
            probe.target.host.answered(probe.started, ok=is_alive, seen="" if is_alive else os.strerror(error))
        self._end(probe, os.strerror(error))

    def _end(self, probe: _Probe, fault: str = "", *, answered: bool = True) -> None:
        """`fault` is what the probe met instead of a correct answer."""
        fd = probe.socket.fileno()
        del self._probes[fd]
        with contextlib.suppress(KeyError):  # refused at once
            self._poll.unregister(fd)
        probe.socket.close()
        tracker = probe.target.tracker
        tracker.answered(probe.started, ok=not fault, seen=fault)
        if fault and answered and probe.target.prompt and not tracker.failing:
            tracker.fail(probe.started, fault)


def mark(each: socket.socket) -> None:
    each.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)


def _status(answer: bytes) -> int:
    """The status of an HTTP response; _NO_HTTP if it is none."""
    words = answer[:16].split()
    return int(words[1]) if answer.startswith(b"HTTP/1.") and len(words) > 1 and words[1].isdigit() else _NO_HTTP
