"""The part of MessagePack (msgpack.org) that an audit record needs: a flat map of strings, integers and timestamps.

The real authz-server and pump speak it over the Redis list, so a machine with the real release and one with the
stand-in can share a group during a rollout. Debian's python3-msgpack is not among the image's packages.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime

from .codes import IamError

Value = str | int | datetime | None
_TIMESTAMP = -1  # the extension type of MessagePack's own


class PackError(IamError):
    """The bytes are no record of ours."""


def pack(record: Mapping[str, Value]) -> bytes:
    if len(record) > 15:
        raise PackError(f"{len(record)} fields; a record has at most 15")
    return bytes([0x80 | len(record)]) + b"".join(_string(key) + _value(value) for key, value in record.items())


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, datetime):
        seconds, nanoseconds = int(value.timestamp()), value.microsecond * 1000
        # The 64-bit form holds 34 bits of seconds, past the year 2500.
        return b"\xd7" + struct.pack(">bQ", _TIMESTAMP, nanoseconds << 34 | seconds)
    if value is None:
        return b"\xc0"
    return b"\xd3" + struct.pack(">q", value)


def _string(text: str) -> bytes:
    raw = text.encode()
    if len(raw) < 32:
        return bytes([0xA0 | len(raw)]) + raw
    for limit, mark, form in ((1 << 8, 0xD9, ">B"), (1 << 16, 0xDA, ">H"), (1 << 32, 0xDB, ">I")):
        if len(raw) < limit:
            return bytes([mark]) + struct.pack(form, len(raw)) + raw
    raise PackError("a string of 4 GiB")


def unpack(data: bytes) -> dict[str, Value]:
    """Raises PackError."""
    try:
        return _Reader(data).record()
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise PackError(f"broken off or garbled: {error}") from error


_NUMBERS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_STRINGS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_EXTENSIONS = {0xD6: 4, 0xD7: 8}


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def record(self) -> dict[str, Value]:
        mark = self._data[self._at]
        self._at += 1
        if mark & 0xF0 == 0x80:
            return {str(self._next()): self._next() for _ in range(mark & 0x0F)}
        if mark == 0xDE:
            return {str(self._next()): self._next() for _ in range(self._number(">H"))}
        raise PackError(f"starts with {mark:#x}, a map is expected")

    def _next(self) -> Value:
        mark = self._data[self._at]
        self._at += 1
        if mark < 0x80:
            return mark
        if mark >= 0xE0:
            return mark - 0x100
        if mark & 0xE0 == 0xA0:
            return self._take(mark & 0x1F).decode()
        if mark in _STRINGS:
            return self._take(self._number(_STRINGS[mark])).decode()
        if mark in _NUMBERS:
            return self._number(_NUMBERS[mark])
        if mark in _EXTENSIONS or mark == 0xC7:
            return self._timestamp(_EXTENSIONS.get(mark) or self._number(">B"))
        if mark == 0xC0:
            return None
        raise PackError(f"holds a value of type {mark:#x}, which no audit record has")

    def _timestamp(self, size: int) -> datetime:
        kind = self._number(">b")
        raw = self._take(size)
        if kind != _TIMESTAMP:
            raise PackError(f"holds an extension of type {kind}, a timestamp is expected")
        if size == 4:
            return datetime.fromtimestamp(struct.unpack(">I", raw)[0], UTC)
        if size == 8:
            both = struct.unpack(">Q", raw)[0]
            nanoseconds, seconds = both >> 34, both & (1 << 34) - 1
        else:
            nanoseconds, seconds = struct.unpack(">Iq", raw)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000)

    def _number(self, form: str) -> int:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _take(self, size: int) -> bytes:
        raw = self._data[self._at : self._at + size]
        if len(raw) != size:
            raise PackError("broken off")
        self._at += size
        return raw
