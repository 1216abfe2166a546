"""SSH connections to the nodes: pinned host keys, a deadline for every call, one channel for each agent call.

The only module that imports paramiko. There is no trust on first use: if the host key differs from the pinned one,
the connection is closed before anything is sent.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paramiko
from cryptography.hazmat.primitives import serialization
from paramiko.ssh_exception import IncompatiblePeer

from provisioning.agent_calls import (
    CALL_DEADLINE_S,
    Connection,
    agent_program,
    node_name,
    python_command,
    to_exception,
)
from provisioning.errors import HostKeyError, NodeError, UnreachableError
from provisioning.inventory import Inventory, RemoteNode

# Errors are reported by exceptions; without a handler, logging would print paramiko's messages to stderr.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

CONNECT_DEADLINE_S = 10.0
DEAD_AFTER_MS = 15_000


def load_private_key(text: str) -> paramiko.PKey:
    """Load a private key in OpenSSH or PEM format (ssh-keygen, pulumi_tls). Raises NodeError, which omits the key."""
    data = text.strip().encode() + b"\n"
    try:
        if b"BEGIN OPENSSH PRIVATE KEY" in data:
            key = serialization.load_ssh_private_key(data, None)
        else:
            key = serialization.load_pem_private_key(data, None)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
        openssh = key.private_bytes(*form).decode()  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue] - all private key types have it
    except (ValueError, TypeError) as error:
        raise NodeError("the deployment key cannot be read", seen=type(error).__name__) from None
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with contextlib.suppress(paramiko.SSHException, ValueError):
            return kind.from_private_key(io.StringIO(openssh))
    raise NodeError("the deployment key must be an Ed25519, ECDSA or RSA key", look_at="components/credentials.py")


class SshConnection:
    """An SSH connection to one node, direct or through a bastion."""

    def __init__(self, node: RemoteNode, transport: paramiko.Transport) -> None:
        self.node = node
        self._transport = transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def call(
        self,
        operations: Sequence[dict[str, Any]],
        *,
        token: str = "",
        archive: Path | None = None,
        deadline_s: float = CALL_DEADLINE_S,
    ) -> list[Any]:
        command = python_command() if self.node.user == "root" else f"sudo -n {python_command()}"
        request = json.dumps({"token": token, "operations": list(operations)}).encode() + b"\n"
        out, err, code = self.run(command, agent_program() + request, archive=archive, deadline_s=deadline_s)
        try:
            answer = json.loads(out)
        except ValueError:
            step = operations[0]["do"]
            if code < 0:
                message = f"{node_name(self.node)}: the SSH connection broke during {step}"
                raise UnreachableError(message, seen=err) from None
            output = "\n".join(err.splitlines()[-12:]) or out[-500:] or "no output"
            raise NodeError(
                f"{node_name(self.node)}: the agent ended without a response during {step} (exit code {code})",
                seen=output,
                look_at="python3 and sudo -n on that node; provisioning/agent/",
            ) from None
        if "error" in answer:
            raise to_exception(self.node, answer["error"])
        return answer["results"]

    def run(
        self, command: str, stdin: bytes = b"", *, archive: Path | None = None, deadline_s: float = CALL_DEADLINE_S
    ) -> tuple[str, str, int]:
        """Run a command and return its stdout, stderr and exit code (-1: unknown).

        Raises:
            UnreachableError: the connection broke, or the command did not end before the deadline.
        """
        deadline = time.monotonic() + deadline_s
        try:
            with self._transport.open_session(timeout=CONNECT_DEADLINE_S) as channel:
                channel.settimeout(min(deadline_s, CONNECT_DEADLINE_S))
                channel.exec_command(command)
                # stdin is sent by a separate thread: a command that ends early or writes much output must not block.
                sender = threading.Thread(target=_send, args=(channel, stdin, archive), daemon=True)
                sender.start()
                out, err = _receive(channel, deadline)
                code = channel.recv_exit_status() if channel.exit_status_ready() else -1
                sender.join(1)
        except TimeoutError:
            raise UnreachableError(
                f"{node_name(self.node)}: the call did not end within {deadline_s:.0f} s",
                look_at="tandem health; the node's load",
            ) from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise UnreachableError(
                f"{node_name(self.node)}: the SSH connection broke", seen=f"{type(error).__name__}: {error}"
            ) from None
        else:
            return out.decode(errors="replace"), err.decode(errors="replace"), code


def _send(channel: paramiko.Channel, stdin: bytes, archive: Path | None) -> None:
    with contextlib.suppress(OSError, paramiko.SSHException):  # the reader reports the broken connection
        channel.sendall(stdin)
        if archive is not None:
            with archive.open("rb") as file:
                for block in iter(lambda: file.read(1 << 18), b""):
                    channel.sendall(block)
        channel.shutdown_write()


def _receive(channel: paramiko.Channel, deadline: float) -> tuple[bytes, bytes]:
    out, err = bytearray(), bytearray()
    arrived = threading.Event()
    # paramiko signals new data in a buffer through an event; stdout and stderr share this one, so no polling is needed.
    for stream in (channel.in_buffer, channel.in_stderr_buffer):
        stream.set_event(arrived)
    while True:
        arrived.clear()
        moved = False
        while channel.recv_ready():
            out += channel.recv(1 << 18)
            moved = True
        while channel.recv_stderr_ready():
            err += channel.recv_stderr(1 << 18)
            moved = True
        if moved:
            continue
        if channel.closed or (channel.eof_received and channel.exit_status_ready()):
            return bytes(out), bytes(err)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        arrived.wait(min(left, 0.05 if channel.eof_received else 1.0))


# ---- connecting ------------------------------------------------------------------------------------------------


def connect(node: RemoteNode, private_key: str, bastion: RemoteNode | None = None) -> SshConnection:
    """Log in, without retries. Raises HostKeyError, UnreachableError."""
    for pinned in (node, bastion):
        if pinned is not None and not pinned.host_keys:
            raise HostKeyError(f"{node_name(pinned)}: a pinned host key is required; nothing was sent")
    if bastion is None:
        return SshConnection(node, _handshake(node, private_key, _dial(node)))
    outer = _handshake(bastion, private_key, _dial(bastion))
    try:
        inner = outer.open_channel(
            "direct-tcpip", (node.ssh_address, node.ssh_port), ("127.0.0.1", 0), timeout=CONNECT_DEADLINE_S
        )
        transport = _handshake(node, private_key, inner)
    except (paramiko.SSHException, OSError, EOFError) as error:
        outer.close()
        raise UnreachableError(
            f"{node_name(node)}: no SSH connection through the bastion {bastion.name}",
            seen=f"{type(error).__name__}: {error}",
        ) from None
    except UnreachableError:
        outer.close()
        raise
    # Keeps the bastion's connection open as long as the one through it.
    transport.tandem_bastion = outer  # pyright: ignore[reportAttributeAccessIssue] - an additional attribute on paramiko's object
    return SshConnection(node, transport)


def wait_until_reachable(
    node: RemoteNode,
    private_key: str,
    bastion: RemoteNode | None = None,
    *,
    deadline_s: float,
    retry: tuple[type[UnreachableError], ...] = (UnreachableError,),
    sleep: Callable[[float], None] = time.sleep,
) -> SshConnection:
    """Log in, with retries until the deadline: a booting node starts sshd before its keys and users exist.

    A wrong host key is retried only if `retry` contains HostKeyError. Raises the last error.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            return connect(node, private_key, bastion)
        except UnreachableError as error:
            wrong_key = isinstance(error, HostKeyError) and HostKeyError not in retry
            if wrong_key or time.monotonic() > deadline:
                raise
        sleep(0.2)


def connector(inventory: Inventory, *, deadline_s: float = 60.0) -> Callable[[RemoteNode], Connection]:
    """Return a function that connects to a node of the inventory, through its bastion if there is one."""

    def to(node: RemoteNode) -> Connection:
        is_bastion = inventory.bastion is not None and node.name == inventory.bastion.name
        bastion = None if is_bastion else inventory.bastion
        return wait_until_reachable(node, inventory.private_key, bastion, deadline_s=deadline_s)

    return to


def _dial(node: RemoteNode) -> socket.socket:
    try:
        connected = socket.create_connection((node.ssh_address, node.ssh_port), CONNECT_DEADLINE_S)
    except OSError as error:
        raise UnreachableError(
            f"{node_name(node)}: no connection to {node.ssh_address} port {node.ssh_port}",
            seen=str(error),
            look_at="the state of the instance; its security group must allow this port from the operator's address",
        ) from None
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A node that loses power stops acknowledging SSH keep-alive messages. The connection then breaks after this time,
    # before the deadline of the call.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_MS)
    return connected


def _handshake(node: RemoteNode, private_key: str, over: socket.socket | paramiko.Channel) -> paramiko.Transport:
    pinned = [paramiko.PKey.from_type_string(*_split_key(line)) for line in node.host_keys]
    key = load_private_key(private_key)
    transport = paramiko.Transport(over)
    try:
        transport.banner_timeout = transport.auth_timeout = transport.handshake_timeout = CONNECT_DEADLINE_S
        # Only pinned key types, so that a server with several host keys presents one of them.
        transport.get_security_options().key_types = tuple(dict.fromkeys(key.get_name() for key in pinned))
        transport.start_client(timeout=CONNECT_DEADLINE_S)
        presented = transport.get_remote_server_key()
        if presented not in pinned:
            raise HostKeyError(
                f"{node_name(node)}: the host key of {node.ssh_address} differs from the pinned one; nothing was sent",
                seen=f"presented: {presented.get_name()} {presented.get_base64()}\n"
                + "\n".join(f"pinned:    {key.get_name()} {key.get_base64()}" for key in pinned),
                look_at="whether the instance was replaced outside Pulumi, or another host uses its address",
            )
        transport.auth_publickey(node.user, key)
        transport.set_keepalive(5)
    except HostKeyError:
        transport.close()
        raise
    except IncompatiblePeer as error:
        transport.close()
        raise HostKeyError(f"{node_name(node)}: the node has no host key of a pinned type", seen=str(error)) from None
    except paramiko.AuthenticationException as error:
        transport.close()
        raise UnreachableError(
            f"{node_name(node)}: login as {node.user} with the deployment key was refused", seen=str(error),
            look_at="/var/log/cloud-init.log on the node; the key pair of the instance",
        ) from None  # fmt: skip
    except (paramiko.SSHException, EOFError, OSError) as error:
        transport.close()
        raise UnreachableError(
            f"{node_name(node)}: the SSH handshake with {node.ssh_address} failed",
            seen=f"{type(error).__name__}: {error}",
        ) from None
    return transport


def _split_key(line: str) -> tuple[str, bytes]:
    kind, data = line.split()[:2]
    return kind, base64.b64decode(data)
