"""Logs in to the nodes over SSH, with pinned host keys.

Host keys are not trusted on first use: if the host key differs from the pinned one, the connection is closed before
data is sent. Only this module, bastion.py, ssh_connection.py and liveness.py import paramiko.
"""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence

import paramiko
from cryptography.hazmat.primitives import serialization
from paramiko.ssh_exception import IncompatiblePeer

from provisioning.errors import HostKeyError, NodeError, UnreachableError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.ssh.agent_calls import Connection, node_name
from provisioning.ssh.bastion import Bastion
from provisioning.ssh.connections import Keys
from provisioning.ssh.ssh_connection import SshConnection

# Errors are reported by exceptions; without a handler, logging would print paramiko's messages to stderr.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

CONNECT_DEADLINE_S = 10.0  # for the TCP connection
HANDSHAKE_DEADLINE_S = 20.0
# With UseDNS, sshd looks up the client's name before it accepts a login: 10 to 20 s for each of two dead resolvers.
LOGIN_DEADLINE_S = 45.0
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


def connect(node: RemoteNode, private_key: Keys, bastion: RemoteNode | None = None) -> SshConnection:
    """Log in, without retries. Raises HostKeyError, UnreachableError."""
    return _connect(node, private_key, _bastion(bastion, private_key))


def wait_until_reachable(
    node: RemoteNode,
    private_key: Keys,
    bastion: RemoteNode | Bastion | None = None,
    *,
    deadline_s: float,
    retry: tuple[type[UnreachableError], ...] = (UnreachableError,),
    sleep: Callable[[float], None] = time.sleep,
) -> SshConnection:
    """Log in, with retries until the deadline: a booting node starts sshd before its keys and users exist.

    A wrong host key is retried only if `retry` contains HostKeyError. Raises the last error.
    """
    through = _bastion(bastion, private_key) if isinstance(bastion, RemoteNode) else bastion
    with through.used() if through else contextlib.nullcontext():
        deadline = time.monotonic() + deadline_s
        pauses = retry_pauses()
        while True:
            try:
                return _connect(node, private_key, through)
            except UnreachableError as error:
                wrong_key = isinstance(error, HostKeyError) and HostKeyError not in retry
                if wrong_key or time.monotonic() > deadline:
                    raise
            sleep(next(pauses))


def retry_pauses() -> Iterator[float]:
    """The seconds to wait between logins.

    At most 5 logins in 10 s: packet filters, security agents and sshd's PerSourcePenalties (OpenSSH 9.8) refuse a
    client that tries more often, for minutes. The pauses vary, so that logins to many nodes through one bastion do
    not coincide.
    """
    pause = 1.0
    while True:
        yield pause * random.uniform(1.0, 1.3)  # noqa: S311 - not for cryptography
        pause = min(pause * 1.5, 3.0)


def connector(inventory: Inventory, *, deadline_s: float = 60.0) -> Callable[[RemoteNode], Connection]:
    """Return a function that connects to a node of the inventory, through its bastion if there is one."""
    through = _bastion(inventory.bastion, inventory.private_keys)

    def to(node: RemoteNode) -> Connection:
        is_bastion = inventory.bastion is not None and node.name == inventory.bastion.name
        return wait_until_reachable(
            node, inventory.private_keys, None if is_bastion else through, deadline_s=deadline_s
        )

    return to


def _bastion(node: RemoteNode | None, private_key: Keys) -> Bastion | None:
    if node is None:
        return None
    return Bastion(node, lambda: _handshake(node, private_key, _dial(node)), CONNECT_DEADLINE_S)


def _connect(node: RemoteNode, private_key: Keys, bastion: Bastion | None) -> SshConnection:
    for pinned in (node, bastion.node if bastion else None):
        if pinned is not None and not pinned.host_keys:
            raise HostKeyError(f"{node_name(pinned)}: a pinned host key is required; nothing was sent")
    if bastion is None:
        return SshConnection(node, _handshake(node, private_key, _dial(node)))
    channel = bastion.open_channel(node)
    try:
        transport = _handshake(node, private_key, channel)
    except UnreachableError:
        bastion.release()
        raise
    return SshConnection(node, transport, on_close=bastion.release)


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


def _handshake(node: RemoteNode, private_key: Keys, over: socket.socket | paramiko.Channel) -> paramiko.Transport:
    pinned = [paramiko.PKey.from_type_string(*_split_key(line)) for line in node.host_keys]
    keys = [load_private_key(text) for text in ((private_key,) if isinstance(private_key, str) else private_key)]
    transport = paramiko.Transport(over)
    try:
        transport.banner_timeout = transport.handshake_timeout = HANDSHAKE_DEADLINE_S
        transport.auth_timeout = LOGIN_DEADLINE_S
        # Only pinned key types, so that a server with several host keys presents one of them.
        transport.get_security_options().key_types = tuple(dict.fromkeys(key.get_name() for key in pinned))
        transport.start_client(timeout=HANDSHAKE_DEADLINE_S)
        presented = transport.get_remote_server_key()
        if presented not in pinned:
            raise HostKeyError(
                f"{node_name(node)}: the host key of {node.ssh_address} differs from the pinned one; nothing was sent",
                seen=f"presented: {presented.get_name()} {presented.get_base64()}\n"
                + "\n".join(f"pinned:    {key.get_name()} {key.get_base64()}" for key in pinned),
                look_at="whether another host uses its address, or the instance was replaced or reinstalled outside "
                f"Pulumi (then: tandem replace {node.name})",
            )
        _authenticate(transport, node.user, keys)
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


def _authenticate(transport: paramiko.Transport, user: str, keys: Sequence[paramiko.PKey]) -> None:
    """Log in with the first key that the node accepts. Raises AuthenticationException."""
    *first, last = keys
    for key in first:
        with contextlib.suppress(paramiko.AuthenticationException):
            transport.auth_publickey(user, key)
            return
    transport.auth_publickey(user, last)


def _split_key(line: str) -> tuple[str, bytes]:
    kind, data = line.split()[:2]
    return kind, base64.b64decode(data)
