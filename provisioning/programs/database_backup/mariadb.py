"""The dump of the database, and its load."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import subprocess
from pathlib import Path
from typing import IO

from .files import BLOCK, BackupError

LOADING = "schema loading by tandem"  # the comment of a database that is incomplete (agent/kinds/database.py)
_DUMP_ENDS = b"-- Dump completed"


def dump(database: str, file: IO[bytes]) -> None:
    command = ["mariadb-dump", "--single-transaction", "--quick", "--routines", "--events", "--hex-blob", database]
    statement = "SELECT schema_comment FROM information_schema.schemata WHERE schema_name = DATABASE()"
    comment = _sql(statement, database).rstrip("\n")
    if comment == LOADING:
        raise BackupError(f"database {database} is incomplete: its load or restore was interrupted; run `tandem up`")
    quoted = comment.replace("\\", "\\\\").replace("'", "''")
    tail = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as dumper, gzip.open(file, "wb", 6) as packed:
        output = dumper.stdout
        assert output is not None
        for block in iter(lambda: output.read(BLOCK), b""):
            packed.write(block)
            tail = (tail + block)[-200:]
        # The state of the schema is restored with the data (agent/kinds/database.py).
        packed.write(f"ALTER DATABASE COMMENT '{quoted}';\n".encode())
    if dumper.returncode or _DUMP_ENDS not in tail:
        raise BackupError(f"mariadb-dump failed with exit code {dumper.returncode}; its messages are above")


def load(database: str, dump: Path) -> None:
    # An interrupted restore leaves this comment: the rollout then refuses the database (agent/kinds/database.py).
    options = f"DEFAULT CHARACTER SET utf8mb4 COMMENT '{LOADING}'"
    _sql(f"DROP DATABASE IF EXISTS `{database}`; CREATE DATABASE `{database}` {options};")
    with subprocess.Popen(["mariadb", database], stdin=subprocess.PIPE) as loader, gzip.open(dump) as content:
        assert loader.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            shutil.copyfileobj(content, loader.stdin, BLOCK)
        loader.stdin.close()
    if loader.returncode:
        raise BackupError(f"{dump} cannot be loaded; the messages of mariadb are above")


def verify(dump: Path) -> None:
    """Read the whole file before the database is replaced."""
    tail = b""
    try:
        with gzip.open(dump) as content:
            for block in iter(lambda: content.read(BLOCK), b""):
                tail = (tail + block)[-1000:]
    except (OSError, EOFError) as damaged:
        raise BackupError(f"{dump} is damaged: {damaged}") from None
    if _DUMP_ENDS not in tail:
        raise BackupError(f"{dump} is incomplete")


def _sql(statement: str, *database: str) -> str:
    return subprocess.run(
        ["mariadb", "--batch", "--skip-column-names", "--raw", *database], input=statement, text=True, check=True,
        stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
