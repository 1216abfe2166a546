"""Reproducible .tar.gz archives: the same files give the same bytes on every computer."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path


class FolderError(Exception):
    """A folder cannot be packed."""


def pack(members: Iterable[tuple[str, bytes, int]]) -> bytes:
    """Pack files (name, content, mode), without anything that differs between runs: times, owners, order, umask."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content, mode in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return _gzip(raw.getvalue())


def pack_folder(folder: Path) -> bytes:
    """Pack all files below a folder. Programs stay executable. Raises: FolderError, OSError."""
    return pack(
        (str(path.relative_to(folder)), path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
        for path in _files(folder)
    )


def _files(folder: Path) -> Iterable[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise FolderError(f"cannot contain {path.relative_to(folder)}, which is a link or a device")
        # Compiled when tests import the programs of a folder; they would change its checksum.
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def write(content: bytes, output: Path) -> str:
    """Write an archive unless the file already has these bytes. Returns its SHA-256 in hex."""
    if not output.exists() or output.read_bytes() != content:
        output.parent.mkdir(parents=True, exist_ok=True)
        beside = output.with_name(output.name + ".new")
        beside.write_bytes(content)
        beside.replace(output)
    return hashlib.sha256(content).hexdigest()


def _gzip(content: bytes) -> bytes:
    """A gzip file of stored blocks (RFC 1951, 3.2.4): compressed output differs between versions of zlib."""
    parts = [b"\x1f\x8b\x08\x00", bytes(4), b"\x00\xff"]  # no name, no time, unknown system
    for start in range(0, len(content), 0xFFFF):
        block = content[start : start + 0xFFFF]
        last = start + 0xFFFF >= len(content)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack("<II", zlib.crc32(content), len(content)))
    return b"".join(parts)
