"""`tandem ssh`: OpenSSH with the deployment key and the pinned host keys, through the bastion if there is one."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from operations.errors import OperationError, UsageError
from provisioning.inventory import Inventory, RemoteNode

Run = Callable[[Sequence[str]], int]


def open_shell(inventory: Inventory, name: str, command: Sequence[str], run: Run = subprocess.call) -> int:
    """Run `ssh NODE COMMAND`. Returns its exit code. The key is in a directory of this user's only, removed afterwards.

    Raises OperationError if there is no such node, or no `ssh`.
    """
    known = [*inventory.nodes, *([inventory.bastion] if inventory.bastion else [])]
    if name not in {node.name for node in known}:
        raise UsageError(f"NODE must be one of {', '.join(node.name for node in known)} (got {name})")
    with tempfile.TemporaryDirectory(prefix="tandem-ssh-") as folder:  # mode 0700
        try:
            return run(["ssh", "-F", str(write_files(inventory, known, Path(folder))), name, *command])
        except FileNotFoundError:
            raise OperationError("`ssh` is not on the PATH; on Debian: apt-get install openssh-client") from None


def write_files(inventory: Inventory, nodes: Sequence[RemoteNode], folder: Path) -> Path:
    """Write the key, the host keys and the configuration. Returns the configuration's path."""
    key, known_hosts, config = (folder / name for name in ("key", "known_hosts", "config"))
    _write(key, f"{inventory.private_key.strip()}\n")
    _write(known_hosts, "".join(f"{node.name} {line}\n" for node in nodes for line in node.host_keys))
    shared = [
        f"IdentityFile {key}", "IdentitiesOnly yes", f"UserKnownHostsFile {known_hosts}",
        "GlobalKnownHostsFile /dev/null", "StrictHostKeyChecking yes", "ConnectTimeout 10",
    ]  # fmt: skip
    blocks = [_host(node, inventory.bastion, config) for node in nodes]
    _write(config, "\n".join([*blocks, "Host *", *(f"    {line}" for line in shared), ""]))
    return config


def _host(node: RemoteNode, bastion: RemoteNode | None, config: Path) -> str:
    lines = [
        f"HostName {node.ssh_address}", f"Port {node.ssh_port}", f"User {node.user}", f"HostKeyAlias {node.name}",
    ]  # fmt: skip
    if bastion is not None and node.name != bastion.name:
        lines.append(f"ProxyCommand ssh -F {config} -W %h:%p {bastion.name}")
    return "\n".join([f"Host {node.name}", *(f"    {line}" for line in lines)])


def _write(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
