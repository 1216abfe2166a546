"""What localcloud could leave behind on the host: read before and after."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Traces:
    """Everything on the host that a localcloud makes and must take away again."""

    processes: frozenset[str]
    mounts: frozenset[str]
    namespaces: frozenset[str]
    links: frozenset[str]
    nft_tables: frozenset[str]
    control_groups: frozenset[str]
    loop_devices: frozenset[str]

    def beyond(self, before: Traces) -> dict[str, frozenset[str]]:
        """What is here now and was not before, by kind; empty = nothing was left."""
        kinds = ("processes", "mounts", "namespaces", "links", "nft_tables", "control_groups", "loop_devices")
        new = {kind: getattr(self, kind) - getattr(before, kind) for kind in kinds}
        return {kind: left for kind, left in new.items() if left}


def look(name: str) -> Traces:
    """Read the host's state, but for what other localclouds (names that begin otherwise) hold."""
    return Traces(
        processes=frozenset(_processes(name)),
        mounts=frozenset(path for path in _mounts() if _is_of(name, path)),
        namespaces=frozenset(path.name for path in Path("/run/netns").glob(f"*{name}*")),
        links=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
        nft_tables=frozenset(_nft_tables()),
        control_groups=frozenset(str(path) for path in Path("/sys/fs/cgroup").rglob(name) if path.is_dir()),
        loop_devices=frozenset(
            line
            for line in _output("losetup", "--list", "--noheadings", "--output", "BACK-FILE").splitlines()
            if _is_of(name, line)
        ),
    )


def _is_of(name: str, text: str) -> bool:
    return any(mark in f"{text} " for mark in (f"/{name}/", f"lc-{name}-", f"--name {name} ", f"/{name} "))


def _mounts() -> list[str]:
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]


def _processes(name: str) -> list[str]:
    """Command lines of processes that name the localcloud, or whose network namespace has lost its name.

    A node that outlived its cloud is found by that: its namespace was removed from /run/netns around it.
    """
    named = {path.stat().st_ino for path in Path("/run/netns").glob("*")} | {Path("/proc/self/ns/net").stat().st_ino}
    found: list[str] = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            groups = (directory / "cgroup").read_text()
            orphaned = (directory / "ns/net").stat().st_ino not in named
        except OSError:  # it ended meanwhile
            continue
        if line and (orphaned or _is_of(name, line) or f"/{name}/" in groups):
            found.append(f"{directory.name} {line[:120]}")
    return found


def _nft_tables() -> list[str]:
    listed = json.loads(_output("nft", "--json", "list", "tables") or '{"nftables": []}')
    return [f"{item['table']['family']} {item['table']['name']}" for item in listed["nftables"] if "table" in item]


def _output(*command: str) -> str:
    return subprocess.run(command, text=True, capture_output=True, check=False).stdout
