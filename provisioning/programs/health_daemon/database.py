"""Watches the database of the IAM services over one connection that stays open.

iam-apiserver answers a login with 401 and other requests with 500 while its database is away. nginx answers 503 instead
while AWAY_FILE exists. A server that stops closes the connection, which shows within a millisecond; one that hangs does
not answer a ping. A connection is never given up during the handshake for less than HANDSHAKE_S: the server counts such
connections, and refuses a host after 100 of them (max_connect_errors). A node that has lost its power acknowledges
nothing: the kernel then ends the connection after SILENT_S, so that the return of the node is noticed at once.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable

try:
    from _sha1 import sha1  # pyright: ignore[reportMissingImports] - hashlib would load OpenSSL, 4 MB
except ImportError:  # a Python without it
    from hashlib import sha1

from .judgement import Tracker

CONNECT_S = 0.5  # before the handshake nothing is counted
HANDSHAKE_S = 20.0  # and for the answer to a ping
SILENT_S = 1
RETRY_S = 0.1
REFUSED_S = 10.0  # after a refused login the server is there; it must not be asked all the time
_OK, _ERROR = 0x00, 0xFF
# CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH
_CAPABILITIES = 0x1 | 0x200 | 0x8000 | 0x80000
_PING = b"\x01\x00\x00\x00\x0e"
_CLOSED, _CONNECTING, _GREETING, _LOGIN, _READY = range(5)


class Database:
    """`watch` and `forget` register the socket with the loop; `tracker` learns whether the server answers."""

    def __init__(
        self, settings: dict[str, str], tracker: Tracker, *,
        watch: Callable[[socket.socket, Callable[[], None], bool], None], forget: Callable[[socket.socket], None],
    ) -> None:  # fmt: skip
        self._address = (settings["host"], int(settings["port"]))
        self._user, self._password = settings["user"], settings["password"]
        self.tracker = tracker
        self._watch, self._forget = watch, forget
        self._socket: socket.socket | None = None
        self._state, self._since, self._next = _CLOSED, 0.0, 0.0
        self._data = b""
        self._asked = 0.0  # when the outstanding ping, or the connection attempt, began
        self._now = 0.0

    @property
    def ready(self) -> bool:
        return self._state == _READY

    def step(self, now: float) -> None:
        """Call it in each interval."""
        self._now = now
        if self._state == _CLOSED and now < self._next:
            return
        self.tracker.started(now)
        if self._state == _CLOSED:
            self._open()
        elif (
            (self._state == _CONNECTING and now - self._since > CONNECT_S)
            or (self._state in (_GREETING, _LOGIN) and now - self._since > HANDSHAKE_S)
            or (self._state == _READY and self._asked and now - self._asked > HANDSHAKE_S)
        ):
            self.close(RETRY_S)
        elif self._state == _READY and not self._asked:
            self._asked = now
            self._send(_PING)

    def _open(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_S * 1000)
        # The same without a ping on its way: the last one was acknowledged, but not answered.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            self._socket.setsockopt(socket.IPPROTO_TCP, option, SILENT_S)
        self._data, self._asked = b"", self._now
        self._state, self._since = _CONNECTING, self._now
        error = self._socket.connect_ex(self._address)
        if error in (0, errno.EINPROGRESS):
            self._watch(self._socket, self._ready, True)
        else:
            self._fail()

    def _ready(self) -> None:
        """The socket is connected, has data, or was closed."""
        assert self._socket is not None
        try:
            if self._state == _CONNECTING:
                error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise OSError(error, "connect")
                self._state, self._since = _GREETING, self._now
                self._watch(self._socket, self._ready, False)
                return
            block = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            self._fail()
            return
        if not block:
            self._fail()
            return
        self._data += block
        while self._state != _CLOSED and (packet := self._next_packet()) is not None:
            self._packet(packet)

    def _next_packet(self) -> bytes | None:
        header, rest = self._data[:4], self._data[4:]
        size = int.from_bytes(header[:3], "little")
        if len(header) < 4 or len(rest) < size:  # noqa: PLR2004 - the length of a packet's header
            return None
        self._data = rest[size:]
        return rest[:size]

    def _packet(self, packet: bytes) -> None:
        kind = packet[0] if packet else None
        scramble = _scramble(packet) if self._state == _GREETING and kind != _ERROR else b""
        if kind is None or (self._state == _GREETING and kind != _ERROR and not scramble):
            self.tracker.fail(self._now, "another server than MariaDB answers at its port")
            self.close(REFUSED_S)
        elif scramble:
            self._state = _LOGIN
            self._send(_response(self._user, self._password, scramble))
        elif self._state == _LOGIN and kind == _OK:
            self._state = _READY
            self._answered()
        elif self._state == _READY:
            self._answered()
        else:
            # Refused, or another authentication method (MySQL 8): the server is there, and that is all to be learnt.
            self._answered()
            self.close(REFUSED_S)

    def _answered(self) -> None:
        self.tracker.answered(self._asked, ok=True)
        self.tracker.forget()
        self._asked = 0.0

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.send(data)
        except OSError:
            self._fail()

    def _fail(self) -> None:
        """The server is away: it refuses connections, or has closed one."""
        if not self.tracker.failing:
            self.tracker.fail(self._now, "it refuses connections or has closed one")
        self.close(RETRY_S)

    def close(self, retry_s: float) -> None:
        if self._socket is not None:
            self._forget(self._socket)
            self._socket.close()
        self._socket, self._state, self._next = None, _CLOSED, self._now + retry_s


def _scramble(greeting: bytes) -> bytes:
    """The 20 random bytes of a HandshakeV10 packet; empty if it is none."""
    after_version = greeting.find(0, 1) + 1
    if not after_version or len(greeting) < after_version + 43:
        return b""
    return greeting[after_version + 4 : after_version + 12] + greeting[after_version + 31 : after_version + 43]


def _response(user: str, password: str, scramble: bytes) -> bytes:
    """A HandshakeResponse41 packet with mysql_native_password."""
    once = sha1(password.encode()).digest()  # noqa: S324 - the protocol's algorithm
    mask = sha1(scramble + sha1(once).digest()).digest()  # noqa: S324 - the protocol's algorithm
    proof = bytes(left ^ right for left, right in zip(once, mask))  # noqa: B905 - Python 3.9 has no strict
    payload = (
        struct.pack("<IIB23x", _CAPABILITIES, 1 << 24, 33)
        + user.encode() + b"\0" + bytes([len(proof)]) + proof + b"mysql_native_password\0"
    )  # fmt: skip
    return len(payload).to_bytes(3, "little") + b"\x01" + payload
