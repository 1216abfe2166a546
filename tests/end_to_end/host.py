"""Reads the host's state before and after the tests, to find what localcloud leaves behind."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Traces:
    """The resources on the host that a localcloud creates and must remove."""

    processes: frozenset[str]
    mounts: frozenset[str]
    namespaces: frozenset[str]
    links: frozenset[str]
    nft_tables: frozenset[str]
    control_groups: frozenset[str]
    loop_devices: frozenset[str]
    files: frozenset[str]  # outside the image cache

    def beyond(self, before: Traces) -> dict[str, frozenset[str]]:
        """Return the traces that did not exist before, by kind. Empty when nothing was left behind."""
        new = {kind.name: getattr(self, kind.name) - getattr(before, kind.name) for kind in fields(self)}
        return {kind: left for kind, left in new.items() if left}


def read_traces(name: str) -> Traces:
    """Read the host's state without the resources of other localclouds (recognized by their names)."""
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
        files=frozenset(
            str(path) for root in ("/var/lib/localcloud", "/run/localcloud") for path in Path(root).glob(f"*{name}*")
        ),
    )


def _is_of(name: str, text: str) -> bool:
    return any(mark in f"{text} " for mark in (f"/{name}/", f"lc-{name}-", f"--name {name} ", f"/{name} "))


def _mounts() -> list[str]:
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]


def _processes(name: str) -> list[str]:
    """Return the command lines of processes that name the localcloud, or whose network namespace has no name.

    The namespace of a node process that outlives its cloud has been removed from /run/netns.
    """
    named = {path.stat().st_ino for path in Path("/run/netns").glob("*")} | {Path("/proc/self/ns/net").stat().st_ino}
    found: list[str] = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            groups = (directory / "cgroup").read_text()
            orphaned = (directory / "ns/net").stat().st_ino not in named
        except OSError:  # the process has exited
            continue
        if line and (orphaned or _is_of(name, line) or f"/{name}/" in groups):
            found.append(f"{directory.name} {line[:120]}")
    return found


def _nft_tables() -> list[str]:
    listed = json.loads(_output("nft", "--json", "list", "tables") or '{"nftables": []}')
    return [f"{item['table']['family']} {item['table']['name']}" for item in listed["nftables"] if "table" in item]


def _output(*command: str) -> str:
    return subprocess.run(command, text=True, capture_output=True, check=False).stdout
