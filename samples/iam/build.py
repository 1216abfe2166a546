"""Build the stand-in's release: `python -m samples.iam.build OUTPUT.tar.gz`. The output is reproducible.

Layout: bin/ (the three programs), lib/ (their modules), sql/iam.sql, VERSION. A real release has the same layout
without lib/.
"""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import tarfile
import zlib
from pathlib import Path

from samples.iam.stand_in import VERSION

_HERE = Path(__file__).parent


def archive() -> bytes:
    """The .tar.gz without anything that differs between runs: times, owners, order, umask."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content, mode in _members():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return _gzip(raw.getvalue())


def build(output: Path) -> str:
    """Write the archive unless the file already has these bytes. Returns its SHA-256 in hex."""
    content = archive()
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


def _members() -> list[tuple[str, bytes, int]]:
    programs = [(f"bin/{path.name}", path.read_bytes(), 0o755) for path in (_HERE / "bin").iterdir()]
    modules = [(f"lib/stand_in/{path.name}", path.read_bytes(), 0o644) for path in (_HERE / "stand_in").glob("*.py")]
    schema = ("sql/iam.sql", (_HERE / "sql" / "iam.sql").read_bytes(), 0o644)
    return sorted([*programs, *modules, schema, ("VERSION", f"{VERSION}\n".encode(), 0o644)])


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and one argument
        sys.exit("usage: python -m samples.iam.build OUTPUT.tar.gz")
    print(build(Path(sys.argv[1])))
