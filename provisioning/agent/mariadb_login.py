"""A login to MariaDB over TCP with mysql_native_password, as the services log in.

A connection that is closed during the handshake counts towards max_connect_errors; a login does not.
"""

from __future__ import annotations

import hashlib
import socket
import struct

_TIMEOUT_S = 5.0
_OK, _ERROR, _SWITCH = 0x00, 0xFF, 0xFE
# CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH
_CAPABILITIES = 0x1 | 0x200 | 0x8000 | 0x80000
_QUIT = b"\x01\x00\x00\x00\x01"


def log_in(host: str, port: int, user: str, password: str) -> str:
    """Log in and out. Returns "", or the reason of the failure. Another authentication method counts as success."""
    try:
        with socket.create_connection((host, port), _TIMEOUT_S) as connection:
            greeting = _read_packet(connection)
            if greeting[0] == _ERROR:
                return greeting[3:].decode(errors="replace")
            connection.sendall(_response(user, password, _scramble(greeting)))
            answer = _read_packet(connection)
            if answer[0] == _ERROR:
                return answer[9:].decode(errors="replace")  # code, "#", SQL state
            if answer[0] == _OK:
                connection.sendall(_QUIT)
            return "" if answer[0] in (_OK, _SWITCH) else f"unexpected response {answer[:1].hex()}"
    except (OSError, IndexError, ValueError) as failed:
        return f"{type(failed).__name__}: {failed}"


def _read_packet(connection: socket.socket) -> bytes:
    header = _read(connection, 4)
    return _read(connection, int.from_bytes(header[:3], "little"))


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        block = connection.recv(size - len(data))
        if not block:
            raise ConnectionError("the connection was closed")
        data += block
    return data


def _scramble(greeting: bytes) -> bytes:
    """The 20 random bytes of a HandshakeV10 packet."""
    after_version = greeting.index(0, 1) + 1
    first = greeting[after_version + 4 : after_version + 12]
    second = greeting[after_version + 31 : after_version + 43]
    return first + second


def _response(user: str, password: str, scramble: bytes) -> bytes:
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the protocol's algorithm
    mask = hashlib.sha1(scramble + hashlib.sha1(once).digest()).digest()  # noqa: S324 - the protocol's algorithm
    proof = bytes(left ^ right for left, right in zip(once, mask))  # noqa: B905 - Python 3.9 has no strict
    payload = (
        struct.pack("<IIB23x", _CAPABILITIES, 1 << 24, 33)
        + user.encode() + b"\0" + bytes([len(proof)]) + proof + b"mysql_native_password\0"
    )  # fmt: skip
    return len(payload).to_bytes(3, "little") + b"\x01" + payload
