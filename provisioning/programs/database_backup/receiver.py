"""The answers to the other node, whose SSH key can only run this."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from .files import BLOCK, BackupError, names_in, new_file, now_utc, prune, sha256_of, time_of

_FILE = r"\d{8}T\d{6}Z\.(?:sql\.gz|queue|replaced)"
_REQUEST = re.compile(
    rf"list|fetch (?P<fetched>{_FILE})|receive (?P<received>{_FILE}) (?P<size>\d+) (?P<sha256>[0-9a-f]{{64}})"
)


def serve(settings: dict[str, Any], request: str, received: Path, source: IO[bytes], answer: IO[bytes]) -> None:
    """Answer one request. Files are added and read, never changed; only their age deletes them."""
    found = _REQUEST.fullmatch(request)
    if found is None:
        raise BackupError(f"unknown request {request!r}")
    file = received / (found["fetched"] or found["received"] or "-")
    if found["received"]:
        if time_of(file.name.partition(".")[0]) > now_utc() + timedelta(hours=1):
            raise BackupError(f"{file.name} is in the future; compare the clocks of both nodes")
        _receive(file, int(found["size"]), found["sha256"], source)
        prune(received, settings)
    elif not found["fetched"]:
        answer.write("\n".join(names_in(received)).encode())
    elif file.exists():
        with file.open("rb") as content:
            shutil.copyfileobj(content, answer, BLOCK)


def _receive(target: Path, size: int, sha256: str, source: IO[bytes]) -> None:
    if target.exists():
        return
    with new_file(target) as file:
        shutil.copyfileobj(source, file, BLOCK)
        file.flush()
        if file.tell() != size or sha256_of(Path(file.name)) != sha256:
            raise BackupError(f"{target.name} arrived incomplete")
