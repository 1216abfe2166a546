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
    """Read the host's state; of processes only those that belong to the localcloud of that name."""
    return Traces(
        processes=frozenset(_processes(name)),
        mounts=frozenset(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()),
        namespaces=frozenset(path.name for path in Path("/run/netns").glob("*")),
        links=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
        nft_tables=frozenset(_nft_tables()),
        control_groups=frozenset(
            str(path) for path in Path("/sys/fs/cgroup").rglob("*") if path.is_dir() and name in path.name
        ),
        loop_devices=frozenset(_output("losetup", "--list", "--noheadings", "--output", "BACK-FILE").splitlines()),
    )


def _processes(name: str) -> list[str]:
    """Command lines of processes that are a localcloud's, or run inside one of its machines or namespaces."""
    own = Path("/proc/self/ns/net").readlink()
    found: list[str] = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            elsewhere = (directory / "ns/net").readlink() != own
            of_cloud = f"/{name}/" in line or f"lc-{name}-" in line or f"--name {name} " in f"{line} "
        except OSError:  # it ended meanwhile
            continue
        if line and (elsewhere or of_cloud):
            found.append(f"{directory.name} {line[:120]}")
    return found


def _nft_tables() -> list[str]:
    listed = json.loads(_output("nft", "--json", "list", "tables") or '{"nftables": []}')
    return [f"{item['table']['family']} {item['table']['name']}" for item in listed["nftables"] if "table" in item]


def _output(*command: str) -> str:
    return subprocess.run(command, text=True, capture_output=True, check=False).stdout
