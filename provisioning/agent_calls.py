"""Calls of the agent, whatever carries them: the program that is sent, the connection, and errors that come back."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from provisioning.errors import CandidateError, GateError, LockedError, NodeError, ProvisioningError
from provisioning.inventory import RemoteNode

CALL_DEADLINE_S = 120.0

# Read from stdin, so that neither the agent nor what it is told is ever on a command line; kept in memory alone,
# so that a node with a full disk still answers.
_BOOTSTRAP = (
    'import os,runpy,sys;i=sys.stdin.buffer;f=open(os.memfd_create("agent"),"wb");'
    "f.write(i.read(int(i.readline())));f.flush();"
    'sys.path.insert(0,"/proc/self/fd/%d"%f.fileno());runpy.run_module("agent",run_name="__main__")'
)


class Connection(Protocol):
    """A way to one node's agent. `SshConnection` is the real one; tests bring their own."""

    node: RemoteNode

    def call(
        self,
        operations: Sequence[dict[str, Any]],
        *,
        token: str = "",
        archive: Path | None = None,
        deadline_s: float = CALL_DEADLINE_S,
    ) -> list[Any]:
        """Have the agent do the operations in order; their results. Raises NodeError, UnreachableError."""
        ...

    def close(self) -> None: ...


def python_command() -> str:
    """The shell's command that runs what `agent_program` gives it on stdin."""
    return f"python3 -I -c '{_BOOTSTRAP}'"


@cache
def agent_program() -> bytes:
    """The package `agent` as one archive that Python runs, behind its length in a line of its own."""
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
    """What an agent answered with, as the error that the operator sees."""
    step, message, seen, detail = error["step"], error["message"], error["seen"], error["detail"]
    if step == "check":
        return CandidateError(f"{node_name(node)}: {message} refused the new configuration", seen=seen)
    if step == "gate":
        return GateError(f"{node_name(node)}: {message}", seen=seen, look_at="the journal of that unit on the node")
    if step == "lock":
        return NodeLockedError(f"{node_name(node)}: {message}", held_by=detail)
    return NodeError(f"{node_name(node)}: {step}: {message}", seen=seen)


class NodeLockedError(LockedError):
    """The lock of one node is taken; `held_by` is its content, with the owner."""

    def __init__(self, message: str, *, held_by: dict[str, Any] | None) -> None:
        owner = (held_by or {}).get("owner", {})
        age = f", last heard of {held_by['age_s']:.0f} s ago" if held_by and "age_s" in held_by else ""
        super().__init__(
            message,
            seen=f"taken by {owner.get('user', '?')} on {owner.get('host', '?')}, process {owner.get('pid', '?')}{age}",
            look_at="that process; a lock whose owner is dead expires by itself",
        )
        self.held_by = held_by
