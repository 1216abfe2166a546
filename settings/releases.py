"""Archives that are delivered to the nodes.

A release of the IAM services has bin/, sql/iam.sql and optionally VERSION.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = "sql/iam.sql"
_REQUIRED = ("bin/iam-apiserver", "bin/iam-authz-server", "bin/iam-pump", _SCHEMA)
_MIGRATION = re.compile(r"sql/migrate-([0-9a-f]{12})\.sql")
_COMMENT = re.compile(r"^\s*(--\s.*|--|#.*)$", re.MULTILINE)
# `USE name`, and CREATE, ALTER or DROP DATABASE.
_NAMED_DATABASE = re.compile(
    r"^\s*(?:USE|(?:CREATE|ALTER|DROP)(?:\s+OR\s+REPLACE)?\s+(?:DATABASE|SCHEMA)(?:\s+IF\s+(?:NOT\s+)?EXISTS)?)\s+"
    r"[`\"]?([A-Za-z0-9_$-]+)",
    re.MULTILINE | re.IGNORECASE,
)


def is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def shown(source: str) -> str:
    """A URL without what may be a secret: the signature in its query, or a password before its host."""
    if not is_url(source):
        return source
    scheme, _, rest = source.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


class ReleaseError(Exception):
    """A setting such as `iam.release` does not name a valid release."""

    def __init__(self, message: str, seen: str) -> None:
        self.message = message
        super().__init__(f"{message}\n  {seen}\n  look at: tandem:iam.release in the stack's file")


@dataclass(frozen=True, slots=True)
class Schema:
    """The database schema of a release."""

    version: str = ""  # first 12 digits of the SHA-256 of sql/iam.sql without its comments and blank lines
    migrations: tuple[str, ...] = ()  # versions for which the release has sql/migrate-VERSION.sql
    databases: tuple[str, ...] = ()  # that sql/iam.sql selects, creates or drops by name


@dataclass(frozen=True, slots=True)
class Bundle:
    """An archive that is delivered to the nodes: the release of a service, or static content."""

    source: str  # path on the operator's computer, absolute or relative to the project directory
    sha256: str
    files: frozenset[str] = frozenset()  # the paths of its files

    def path_below(self, directory: str) -> str:
        """The directory on a node. Its name identifies the content, so several versions can be installed."""
        return f"{directory}/{self.sha256[:12]}"


@dataclass(frozen=True, slots=True)
class Release:
    source: str  # path of the archive on the operator's computer, absolute or relative to the project directory
    sha256: str
    stand_in: bool = False  # the Python stand-in, which requires Debian's Python packages on the nodes
    schema: Schema = Schema()

    @property
    def path(self) -> str:
        """The directory on a node. Its name identifies the content, so several releases can be installed."""
        return f"/opt/iam/{self.sha256[:12]}"


def read_release(path: Path, expected_sha256: str | None = None) -> Release:
    """Check the content of an archive, and its checksum if one is expected. Raises: ReleaseError."""
    try:
        sha256 = file_sha256(path)
        if expected_sha256 is not None and sha256 != expected_sha256:
            raise ReleaseError(
                f"the IAM release {path} must have the checksum of tandem:iam.sha256 "
                f"(got {sha256}, requested {expected_sha256})",
                "the file is incomplete, or it is another release",
            )
        with tarfile.open(path, "r:gz") as archive:
            members = {member.name.removeprefix("./"): member for member in archive.getmembers()}
            found = members.get(_SCHEMA)
            file = archive.extractfile(found) if found is not None else None
            text = file.read().decode(errors="replace") if file is not None else ""
    except (OSError, tarfile.TarError) as error:
        raise ReleaseError(f"the IAM release {path} cannot be read as a .tar.gz", str(error)) from error
    missing = [name for name in _REQUIRED if name not in members]
    if missing:
        raise ReleaseError(
            f"the IAM release {path} must contain {' and '.join(missing)}",
            f"it contains: {', '.join(sorted(members)[:20])}",
        )
    migrations = tuple(sorted(match[1] for name in members if (match := _MIGRATION.fullmatch(name))))
    return Release(str(path), sha256, schema=parse_schema(text, migrations))


def file_sha256(path: Path) -> str:
    """Return the checksum of a file. Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_schema(text: str, migrations: tuple[str, ...] = ()) -> Schema:
    """Describe the text of an sql/iam.sql."""
    statements = _COMMENT.sub("", text)
    lines = [line.rstrip() for line in statements.splitlines() if line.strip()]
    version = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
    return Schema(version, migrations, tuple(sorted(set(_NAMED_DATABASE.findall(statements)))))
