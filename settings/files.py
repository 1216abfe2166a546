"""Files and directories on the nodes that nginx serves."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

# Absolute path on the node, without characters that nginx treats specially.
NodePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/+-]*$", max_length=200)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]

# Directories whose files must not become public; /srv/tandem has the databases.
_PRIVATE = (
    "/etc", "/root", "/proc", "/sys", "/dev", "/home", "/boot", "/run", "/srv/tandem", "/var/backups", "/var/cache",
    "/var/lib", "/var/log", "/var/run", "/var/spool",
)  # fmt: skip


def _is_public(path: str) -> str:
    # nginx resolves //etc and /./etc as /etc.
    if {"", ".", ".."} & set(path.removesuffix("/").split("/")[1:]) or path == "/":
        raise ValueError(f"must be a directory below / without //, /./ and .. (got {path})")
    directory = path.removesuffix("/") + "/"
    for private in _PRIVATE:
        if directory.startswith(f"{private}/"):
            raise ValueError(f"cannot be below {private}, whose files are not public (got {path})")
        if private.startswith(directory):
            raise ValueError(f"cannot contain {private}, whose files are not public (got {path}); use a subdirectory")
    return path


def _are_tried(paths: tuple[str, ...]) -> tuple[str, ...]:
    for path in paths:
        # nginx appends each path to the root unchanged: /srv/www and x.html would become /srv/wwwx.html.
        if not re.fullmatch(r"=[45][0-9]{2}|(\$uri|/)[A-Za-z0-9._/-]*", path) or ".." in path:
            raise ValueError(f"must contain paths such as $uri, $uri/, /index.html or =404 (got {path})")
    if len(paths) == 1:
        raise ValueError("must contain at least two entries; the last one is used if no other exists")
    for path in paths[:-1]:
        if path.startswith("="):
            raise ValueError(f"must have {path} as the last entry: elsewhere nginx looks for a file with this name")
    if paths and "$uri" in paths[-1]:
        raise ValueError(
            f"must end with a status or the path of a file that exists, such as =404 or /index.html (got {paths[-1]}): "
            "nginx uses the last entry without a check, so a missing file would cause status 500"
        )
    return paths


PublicDirectory = Annotated[NodePath, AfterValidator(_is_public)]
TryFiles = Annotated[tuple[str, ...], AfterValidator(_are_tried)]
