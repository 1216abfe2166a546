"""The part of BSON that logins and searches use (https://bsonspec.org/spec.html)."""

from __future__ import annotations

import struct
from typing import Any

# Types whose values have a fixed size and are not used: date, null, MinKey, MaxKey, timestamp, Decimal128.
_OPAQUE = {0x09: 8, 0x0A: 0, 0xFF: 0, 0x7F: 0, 0x11: 8, 0x13: 16}
_NUMBERS = {0x01: "<d", 0x10: "<i", 0x12: "<q", 0x08: "<?"}


class ObjectId(bytes):
    """The 12 bytes of an ObjectId; the first four are the seconds since 1970."""


def encode(document: dict[str, Any]) -> bytes:
    """Encode text, whole numbers, bytes, ObjectIds and documents."""
    body = b"".join(_encode_element(name.encode() + b"\0", value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _encode_element(name: bytes, value: Any) -> bytes:
    if isinstance(value, ObjectId):
        return b"\x07" + name + value
    if isinstance(value, bytes):
        return b"\x05" + name + struct.pack("<ib", len(value), 0) + value
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return b"\x02" + name + struct.pack("<i", len(text)) + text
    if isinstance(value, dict):
        return b"\x03" + name + encode(value)
    return b"\x10" + name + struct.pack("<i", value)


def decode(data: bytes) -> dict[str, Any]:
    """Decode a document. Raises ValueError, IndexError or struct.error."""
    found: dict[str, Any] = {}
    position, end = 4, struct.unpack_from("<i", data)[0] - 1
    while position < end:
        kind, after = data[position], data.index(b"\0", position + 1)
        name = data[position + 1 : after].decode(errors="replace")
        found[name], position = _decode_value(kind, data, after + 1)
    return found


def _decode_value(kind: int, data: bytes, at: int) -> tuple[Any, int]:
    """The value, and the position after it."""
    if kind in _NUMBERS:
        return struct.unpack_from(_NUMBERS[kind], data, at)[0], at + struct.calcsize(_NUMBERS[kind])
    if kind in _OPAQUE:
        return None, at + _OPAQUE[kind]
    if kind == 0x07:  # noqa: PLR2004 - ObjectId
        return ObjectId(data[at : at + 12]), at + 12
    size = struct.unpack_from("<i", data, at)[0]
    if kind == 0x02:  # noqa: PLR2004 - text
        return data[at + 4 : at + 3 + size].decode(errors="replace"), at + 4 + size
    if kind == 0x05:  # noqa: PLR2004 - bytes
        return data[at + 5 : at + 5 + size], at + 5 + size
    if kind in (0x03, 0x04):  # a document, an array
        found = decode(data[at : at + size])
        return (found if kind == 0x03 else list(found.values())), at + size  # noqa: PLR2004 - a document
    raise ValueError(f"unknown BSON type {kind}")
