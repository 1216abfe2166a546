"""Packs or checks the files that are delivered to the nodes: releases of services, and static content."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

from settings import archives
from settings.releases import Bundle, ReleaseError, file_sha256, is_url


def find_bundle(source: str, sha256: str | None, name: str, checksum: str, cache: Path) -> Bundle:
    """Pack a folder, or check an archive, which is fetched if it is a URL. Raises: ReleaseError.

    `name` identifies it in the cache, for example "services.web"; `checksum` is the setting of `sha256`.
    """
    if is_url(source):
        from settings.downloads import fetch  # noqa: PLC0415 - HTTP takes 0.1 s to import

        return _read(fetch(source, sha256, cache, checksum), sha256, checksum)
    path = Path(source)
    return _pack(path, sha256, cache, name, checksum) if path.is_dir() else _read(path, sha256, checksum)


def _pack(folder: Path, sha256: str | None, cache: Path, name: str, checksum: str) -> Bundle:
    try:
        content = archives.pack_folder(folder)
    except (OSError, archives.FolderError) as error:
        raise ReleaseError(f"the folder {folder} cannot be packed: {error}", str(error)) from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ReleaseError(
            f"the folder {folder} must have the checksum of {checksum} (got {found}, requested {sha256})", ""
        )
    output = cache / f"{name.replace('.', '-')}-{found[:12]}.tar.gz"
    archives.write(content, output)
    return _read(output, found, checksum)


def _read(path: Path, sha256: str | None, checksum: str) -> Bundle:
    """Check the content of an archive, as the nodes will. Raises: ReleaseError."""
    try:
        found = file_sha256(path)
        if sha256 is not None and found != sha256:
            raise ReleaseError(
                f"the archive {path} must have the checksum of {checksum} (got {found}, requested {sha256})",
                "the file is incomplete, or it is another one",
            )
        with tarfile.open(path, "r:gz") as archive:
            members = archive.getmembers()
    except (OSError, tarfile.TarError) as error:
        raise ReleaseError(f"{path} cannot be read as a folder or a .tar.gz: {error}", str(error)) from error
    for member in members:
        outside = member.name.startswith("/") or ".." in member.name.split("/")
        if outside or not (member.isfile() or member.isdir()):
            raise ReleaseError(
                f"the archive {path} cannot contain {member.name}, which is a link, a device or outside its top",
                str(path),
            )
    files = frozenset(member.name.removeprefix("./") for member in members if member.isfile())
    if not files:
        raise ReleaseError(f"{path} must contain files (it is empty)", str(path))
    return Bundle(str(path), found, files)
