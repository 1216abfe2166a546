"""The host's package sources, read at run time, so that this repository contains no mirror's name."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

from localcloud.errors import HostError

# Options of the host's apt that affect whether its sources are reachable and trusted.
_CARRIED_OPTIONS = re.compile(r"^Acquire::(https?::|ftp::|Check-|Retries|Max-FutureTime|AllowInsecure)")


@dataclass(frozen=True, slots=True)
class Source:
    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None
    trusted: bool = False

    def line(self) -> str:
        options = [f"signed-by={self.signed_by}"] if self.signed_by else []
        if self.trusted:
            options.append("trusted=yes")
        prefix = f"[{' '.join(options)}] " if options else ""
        return f"deb {prefix}{self.uri} {self.suite} {' '.join(self.components)}"


def read_sources(etc_apt: Path = Path("/etc/apt")) -> tuple[Source, ...]:
    """Read all binary package sources of this host, in both of apt's formats."""
    found: list[Source] = []
    for path in [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if path.suffix == ".sources":
            found += _parse_deb822(text)
        elif path.suffix == ".list":
            found += _parse_lines(text)
    return tuple(dict.fromkeys(found))


def sources_for(codename: str, sources: tuple[Source, ...] | None = None) -> tuple[Source, ...]:
    """Return the host's sources of one Debian release: main, updates, security. Raises HostError if there are none."""
    suites = {codename, f"{codename}-updates", f"{codename}-security"}
    every = read_sources() if sources is None else sources
    # "main" excludes third-party repositories whose suite has the name of the Debian release.
    chosen = tuple(source for source in every if source.suite in suites and "main" in source.components)
    chosen = tuple(source for source in chosen if _is_distribution(source))
    if not any(source.suite == codename for source in chosen):
        raise HostError(
            f"this host has no apt source of Debian {codename!r} (found: "
            f"{', '.join(sorted({source.suite for source in every})) or 'none'}); images are built from the host's "
            f"sources: add one to /etc/apt/sources.list.d/ and run `apt-get update`"
        )
    return chosen


def apt_options() -> tuple[str, ...]:
    """Return the host's apt settings that its sources may depend on (proxy, date checks), as `-o` values."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    values: list[str] = []
    for line in dump.splitlines():
        key, _, value = line.partition(" ")
        if _CARRIED_OPTIONS.match(key) and value.strip('";'):
            values.append(f"{key}={value.rstrip(';').strip(chr(34))}")
    return tuple(values)


def _is_distribution(source: Source) -> bool:
    keyring = source.signed_by or ""
    named = source.uri.rstrip("/").rsplit("/", 1)[-1]
    return "debian-archive" in keyring or named in {"debian", "debian-security"} or source.uri.startswith("file:")


def _parse_lines(text: str) -> list[Source]:
    found: list[Source] = []
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        match = re.match(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)$", line)
        if not match:
            continue
        options = dict(part.split("=", 1) for part in (match[1] or "").split() if "=" in part)
        found.append(
            Source(
                match[2], match[3], tuple(match[4].split()), options.get("signed-by"), options.get("trusted") == "yes"
            )
        )
    return found


def _parse_deb822(text: str) -> list[Source]:
    found: list[Source] = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = message_from_string(paragraph.lstrip("\n"))  # deb822 has the syntax of mail headers
        if "deb" not in fields.get("Types", "").split() or fields.get("Enabled", "yes").strip().lower() == "no":
            continue
        signed_by = fields.get("Signed-By", "").strip()
        found += [
            Source(
                uri,
                suite,
                tuple(fields.get("Components", "").split()),
                signed_by if signed_by.startswith("/") else None,
                fields.get("Trusted", "").strip() == "yes",
            )
            for uri in fields.get("URIs", "").split()
            for suite in fields.get("Suites", "").split()
        ]
    return found
