"""Archives, which are unpacked atomically."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ..files import discard, sha256_of, what_is
from ..node import Node, StepError
from ..systemd import add_pending

INCOMING = "incoming"  # below the state directory: parts of archives, by checksum
# Beside an archive, by its name. Also `.NAME.PID` while it is unpacked; old_archives.py deletes what a killed run left.
_REPAIRED, _OLD = ".{}.0", ".{}.1"
# Other names in the directory are not ours.
_ARCHIVE = re.compile(r"[0-9a-f]{12}\Z")
_PARTIAL = re.compile(r"\.[0-9a-f]{12}\.[0-9]+\Z")


def facts(node: Node, questions: list[str]) -> dict[str, list[str]]:
    """For each unpacked archive, the files that were changed on this node since."""
    return {path: _changed_files(node, path) for path in questions if what_is(node.at(path))}


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    """Replace archives whose files were changed. `receive` has unpacked all of them."""
    for item in items:
        target = node.at(item["path"])
        repaired, old = target.with_name(_REPAIRED.format(target.name)), target.with_name(_OLD.format(target.name))
        if repaired.exists():
            add_pending(node, item["after"])
            node.before("replace " + item["path"])
            discard(old)
            with contextlib.suppress(FileNotFoundError):  # an interrupted run has moved it
                target.rename(old)
            repaired.rename(target)
            discard(old)
        if not target.exists():
            raise StepError("receive", f"{item['path']}: the archive was not received")


def remove(node: Node, item: dict[str, Any]) -> list[str]:
    """Delete all archives in a directory, and what killed transfers left there. Other files are kept."""
    return [delete(node, item["path"], name) for name in [*archives(node, item["path"]), *partial(node, item["path"])]]


def archives(node: Node, directory: str) -> list[str]:
    """The names of the unpacked archives in a directory, the last one that was current first."""
    found = [each for each in _children(node.at(directory)) if _ARCHIVE.match(each.name)]
    return [each.name for each in sorted(found, key=lambda each: each.stat().st_mtime, reverse=True)]


def partial(node: Node, directory: str) -> list[str]:
    """The names of the directories that `unpack` did not complete."""
    return [each.name for each in _children(node.at(directory)) if _PARTIAL.match(each.name)]


def delete(node: Node, directory: str, name: str) -> str:
    """Delete one archive. Returns a description of the change."""
    node.before(f"delete {name}")
    shutil.rmtree(node.at(directory) / name)
    with contextlib.suppress(FileNotFoundError):
        node.state_path(record_name(f"{directory}/{name}")).unlink()
    return f"deleted {name}"


def _children(directory: Path) -> list[Path]:
    """Without links: `current` is one."""
    if not directory.is_dir():
        return []
    return sorted(each for each in directory.iterdir() if not each.is_symlink())


def received(node: Node, *, sha256: str) -> int:
    """The number of bytes of an archive that an interrupted transfer left."""
    try:
        return _part(node, sha256).stat().st_size
    except FileNotFoundError:
        return 0


def receive(node: Node, *, path: str, sha256: str, size: int, offset: int) -> None:
    """Read an archive of `size` bytes without the first `offset` from stdin, and unpack it at `path`, atomically.

    If the connection ends, what arrived is kept. This needs no lock: the path identifies the content, and the call of
    another operator writes the same bytes at the same positions. The first one to end deletes the part, so each reads
    what it has open.
    """
    part = _part(node, sha256)
    node.make_state()
    part.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        _read(node, file, path, size, offset)
        node.before("unpack " + path)
        try:
            _unpack_received(node, path, sha256, Path(f"/proc/self/fd/{file.fileno()}"))
        finally:
            part.unlink(missing_ok=True)


def _read(node: Node, file: IO[bytes], path: str, size: int, offset: int) -> None:
    assert node.stdin is not None
    file.seek(offset)
    while offset < size:
        block = node.stdin.read(min(size - offset, 1 << 20))
        if not block:
            missing = size - offset
            raise StepError("receive", f"{path}: the connection ended with {missing} of {size} bytes missing")
        file.write(block)
        offset += len(block)
    file.truncate()
    file.flush()


def _unpack_received(node: Node, path: str, sha256: str, archive: Path) -> None:
    target = node.at(path)
    if what_is(target) and not _changed_files(node, path):
        return  # another operator has sent it meanwhile
    actual = sha256_of(archive)
    if actual != sha256:
        seen = f"got {actual}\nexpected {sha256}"
        raise StepError("receive", f"{path}: the checksum of the received archive is wrong", seen)
    if what_is(target):  # its files were changed; `prepare` replaces it
        target = target.with_name(_REPAIRED.format(target.name))
        discard(target)
    unpack(archive, target, lambda unpacked: node.write_json(record_name(path), _record(unpacked)))


def record_name(path: str) -> str:
    """The file in the agent's state with the checksums of an unpacked archive."""
    return f"archive.{path.strip('/').replace('/', '-')}.json"


def _record(directory: Path) -> dict[str, list[Any]]:
    files = sorted(each for each in directory.rglob("*") if each.is_file())
    return {str(each.relative_to(directory)): [sha256_of(each), *_stamp(each)] for each in files}


def _stamp(file: Path) -> list[int]:
    """Mode, owner and group; the rest differs after every write. The change time cannot be set by a program."""
    status = file.stat()
    owner = [status.st_mode, status.st_uid, status.st_gid]
    return [*owner, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _changed_files(node: Node, path: str) -> list[str]:
    if what_is(node.at(path)) != "a directory":
        return [f"({what_is(node.at(path))})"]
    record = node.read_json(record_name(path), None)
    if record is None:
        return ["(no checksums recorded)"]
    return [name for name, (sha256, *stamp) in record.items() if _is_changed(node.at(path) / name, sha256, stamp)]


def _is_changed(file: Path, sha256: str, stamp: list[int]) -> bool:
    if file.is_symlink() or not file.is_file():
        return True
    now = _stamp(file)
    return now != stamp and (now[:3] != stamp[:3] or sha256_of(file) != sha256)


def _part(node: Node, sha256: str) -> Path:
    return node.state_path(INCOMING) / sha256


def unpack(archive: Path, target: Path, before_rename: Callable[[Path], None] = lambda _unpacked: None) -> None:
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
                # As filter="data" does: no set-user-ID bit, only root may write. The accounts of services and of nginx
                # must be able to read all files and to run programs, with any modes on the operator's computer.
                runs = 0o111 if member.mode & 0o100 or member.isdir() else 0
                member.mode = (member.mode & 0o755) | 0o444 | runs
            # Python 3.12 and 3.13 warn without a filter; Python 3.11.3 and earlier have none.
            trusted: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
            tar.extractall(new, **trusted)  # noqa: S202 - every member was checked above
        new.chmod(0o755)  # the archive may contain its top directory with another mode and time
        os.utime(new)
        before_rename(new)
        with contextlib.suppress(OSError):  # another call may have unpacked the same content
            new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
