"""Calls to the agent, independent of the transport: the program sent to the node, the connection, the errors."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from provisioning.errors import (
    CandidateError,
    GateError,
    LockedError,
    LostDataError,
    NodeError,
    ProvisioningError,
)
from provisioning.inventory import RemoteNode

CALL_DEADLINE_S = 120.0

# The agent and its request are read from stdin, so neither appears on a command line. The agent is kept in memory only,
# so it also runs on a node whose disk is full.
_BOOTSTRAP = (
    'import os,runpy,sys;i=sys.stdin.buffer;f=open(os.memfd_create("agent"),"wb");'
    "f.write(i.read(int(i.readline())));f.flush();"
    'sys.path.insert(0,"/proc/self/fd/%d"%f.fileno());runpy.run_module("agent",run_name="__main__")'
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that follows a request, without its first `offset` bytes."""

    source: Path
    offset: int = 0
    sent: Callable[[int], None] = lambda _position: None  # called with the position in the file


class Connection(Protocol):
    """A connection to the agent of one node. `SshConnection` implements it; tests pass a fake."""

    node: RemoteNode

    def call(
        self,
        operations: Sequence[dict[str, Any]],
        *,
        token: str = "",
        upload: Upload | None = None,
        deadline_s: float = CALL_DEADLINE_S,
        report: Callable[[str], None] = lambda _line: None,
    ) -> list[Any]:
        """Run the operations in order and return their results. `report` gets the progress of long operations.

        Several threads may call at the same time. While an upload progresses, its deadline does not run.

        Raises:
            NodeError, CandidateError, GateError, LockedError: an operation failed; the following ones were not started.
            UnreachableError: the node did not respond within `deadline_s`.
        """
        ...

    def close(self) -> None: ...


def python_command() -> str:
    """The shell command that runs the output of `agent_program` from stdin.

    UTF-8 mode: the node's locale must not decide how files are written.
    """
    return f"python3 -I -X utf8 -c '{_BOOTSTRAP}'"


@cache
def agent_program() -> bytes:
    """The package `agent` as a zip archive that Python can run, preceded by a line with its length in bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for package, name in (("provisioning.agent", "agent"), ("provisioning.agent.kinds", "agent/kinds")):
            for module in resources.files(package).iterdir():
                if module.name.endswith(".py"):
                    packed.writestr(f"{name}/{module.name}", module.read_bytes())
    return str(len(archive.getvalue())).encode() + b"\n" + archive.getvalue()


def node_name(node: RemoteNode) -> str:
    return f"{node.name} ({node.private_address})"


def to_exception(node: RemoteNode, error: dict[str, Any]) -> ProvisioningError:
    """Convert the agent's error response to the exception that is shown to the operator."""
    step, message, seen, detail = error["step"], error["message"], error["seen"], error["detail"]
    if step == "check":
        return CandidateError(f"{node_name(node)}: {message} rejected the new configuration", seen=seen)
    if step == "gate":
        return GateError(f"{node_name(node)}: {message}", seen=seen, look_at="the unit's journal on the node")
    if step == "lock":
        return NodeLockedError(f"{node_name(node)}: {message}", held_by=detail)
    if step == "held data":
        return LostDataError(f"{node_name(node)}: {message}")
    return NodeError(f"{node_name(node)}: {step}: {message}", seen=seen)


class NodeLockedError(LockedError):
    """Another owner holds the lock of the node; `held_by` is the lease, as `locked` in the agent returns it."""

    def __init__(self, message: str, *, held_by: dict[str, Any] | None) -> None:
        super().__init__(
            message,
            seen=describe_lease(held_by) if held_by else "",
            look_at="that process; if it has ended, `tandem unlock`" if held_by else "",
        )
        self.held_by = held_by


def describe_lease(lease: Mapping[str, Any]) -> str:
    """The owner and the age of a change lock, in one line."""
    owner = lease["owner"]
    text = f"held by {owner['user']} on {owner['host']}, process {owner['pid']}"
    if lease["age_s"] is None:
        return f"{text}, before the node's last boot"
    return f"{text}, for {lease['held_s']:.0f} s, renewed {lease['age_s']:.0f} s ago"
