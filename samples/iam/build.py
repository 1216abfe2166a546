"""Build the stand-in's release: `python -m samples.iam.build OUTPUT.tar.gz`. The output is reproducible.

Layout: bin/ (the three programs), lib/ (their modules), sql/iam.sql, VERSION. A real release has the same layout
without lib/.
"""

from __future__ import annotations

import sys
from pathlib import Path

from samples.iam.stand_in import VERSION
from settings.archives import pack, write

_HERE = Path(__file__).parent


def archive() -> bytes:
    """The .tar.gz of the release."""
    return pack(members())


def build(output: Path) -> str:
    """Write the archive unless the file already has these bytes. Returns its SHA-256 in hex."""
    return write(archive(), output)


def members() -> list[tuple[str, bytes, int]]:
    programs = [(f"bin/{path.name}", path.read_bytes(), 0o755) for path in (_HERE / "bin").iterdir()]
    modules = [(f"lib/stand_in/{path.name}", path.read_bytes(), 0o644) for path in (_HERE / "stand_in").glob("*.py")]
    schema = ("sql/iam.sql", (_HERE / "sql" / "iam.sql").read_bytes(), 0o644)
    return [*programs, *modules, schema, ("VERSION", f"{VERSION}\n".encode(), 0o644)]


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and one argument
        sys.exit("usage: python -m samples.iam.build OUTPUT.tar.gz")
    print(build(Path(sys.argv[1])))
