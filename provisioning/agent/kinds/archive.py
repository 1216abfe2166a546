"""Archives, which are unpacked atomically."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

from ..files import exist, sha256_of
from ..node import Node, StepError

INCOMING = "incoming"  # below the state directory: parts of archives, by checksum


def facts(node: Node, questions: list[str]) -> dict[str, bool]:
    return exist(node, questions)


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    """Check that `receive` has unpacked the archives."""
    for item in items:
        if not node.at(item["path"]).exists():
            raise StepError("receive", f"{item['path']}: the archive was not received")


def received(node: Node, *, sha256: str) -> int:
    """The number of bytes of an archive that an interrupted transfer left."""
    try:
        return _part(node, sha256).stat().st_size
    except FileNotFoundError:
        return 0


def receive(node: Node, *, path: str, sha256: str, size: int, offset: int) -> None:
    """Read an archive of `size` bytes without the first `offset` from stdin, and unpack it at `path`, atomically.

    If the connection ends, what arrived is kept. This needs no lock: the path identifies the content, and a call that
    an earlier operator left writes the same bytes at the same positions.
    """
    part = _part(node, sha256)
    node.make_state()
    part.parent.mkdir(mode=0o700, exist_ok=True)
    assert node.stdin is not None
    with part.open("r+b" if part.exists() else "wb") as file:
        file.seek(offset)
        while offset < size:
            block = node.stdin.read(min(size - offset, 1 << 20))
            if not block:
                missing = size - offset
                raise StepError("receive", f"{path}: the connection ended with {missing} of {size} bytes missing")
            file.write(block)
            offset += len(block)
        file.truncate()
    actual = sha256_of(part)
    if actual != sha256:
        part.unlink()
        seen = f"got {actual}\nexpected {sha256}"
        raise StepError("receive", f"{path}: the checksum of the received archive is wrong", seen)
    node.before("unpack " + path)
    try:
        unpack(part, node.at(path))
    finally:
        part.unlink()


def _part(node: Node, sha256: str) -> Path:
    return node.state_path(INCOMING) / sha256


def unpack(archive: Path, target: Path) -> None:
    """Unpack regular files and directories below `target`, atomically. An existing `target` is kept.

    The only caller of `extractall` in this project (tests/test_committed_files.py): `filter="data"` does not exist
    before Python 3.11.4, so the members are checked here.

    Raises:
        StepError: a member is a link or a device, or would lie outside `target`. Nothing was unpacked.
    """
    if target.exists():
        return
    new = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True, mode=0o755)
    try:
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                outside = member.name.startswith("/") or ".." in member.name.split("/")
                if outside or not (member.isfile() or member.isdir()):
                    raise StepError("receive", f"{target}: the archive contains {member.name!r}, which is not allowed")
                member.uid = member.gid = 0
                member.uname = member.gname = "root"
                member.mode &= 0o755  # as filter="data" does: no set-user-ID bit, only root may write
            # Python 3.12 and 3.13 warn without a filter; Python 3.11.3 and earlier have none.
            trusted: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
            tar.extractall(new, **trusted)  # noqa: S202 - every member was checked above
        new.chmod(0o755)  # the archive may contain its top directory with another mode and time
        os.utime(new)
        with contextlib.suppress(OSError):  # another call may have unpacked the same content
            new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
