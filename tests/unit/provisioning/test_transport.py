"""The transport against paramiko's SSH server in this process, which runs commands as the current user."""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from provisioning.errors import HostKeyError, NodeError, ProvisioningError, UnreachableError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.ssh.agent_calls import Upload
from provisioning.ssh.transport import connect, connector, load_private_key, retry_pauses, wait_until_reachable

FORMATS = {
    "openssh": serialization.PrivateFormat.OpenSSH,
    "pkcs8": serialization.PrivateFormat.PKCS8,
}


def new_key(form: str = "openssh") -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(serialization.Encoding.PEM, FORMATS[form], serialization.NoEncryption()).decode()


class _Rules(paramiko.ServerInterface):
    def __init__(self, client_key: paramiko.PKey, login_file: str, answers: threading.Event) -> None:
        self._client_key = client_key
        self._login_file = login_file
        self.commands = 0
        self.answers = answers

    def check_global_request(self, kind: str, msg: paramiko.Message) -> bool:
        del kind, msg
        self.answers.wait()
        return False

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL if (username, key) == ("root", self._client_key) else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        del chanid, origin
        self.destination = destination
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.commands += 1
        self.answers.wait()
        threading.Thread(target=_execute, args=(channel, self._login_file, command.decode()), daemon=True).start()
        return True


def _execute(channel: paramiko.Channel, login_file: str, command: str) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        if command == "cut":
            transport = channel.get_transport()
            time.sleep(0.1)
            transport.close()
            return
        if command == "hang":
            time.sleep(5)
            return
        process = subprocess.Popen(
            ["sh", "-c", login_file + command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdin
        assert process.stdout
        assert process.stderr
        threading.Thread(target=_copy, args=(channel.recv, process.stdin), daemon=True).start()
        copies = [
            threading.Thread(target=_copy_out, args=(process.stdout, channel.sendall)),
            threading.Thread(target=_copy_out, args=(process.stderr, channel.sendall_stderr)),
        ]
        for copy in copies:
            copy.start()
        for copy in copies:
            copy.join()
        channel.send_exit_status(process.wait())
        channel.close()


def _copy(receive: Callable[[int], bytes], to: IO[bytes]) -> None:
    with contextlib.suppress(OSError), to:
        while data := receive(1 << 16):
            to.write(data)
            to.flush()


def _copy_out(source: IO[bytes], send: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException), source:
        while data := source.read1(1 << 16):  # pyright: ignore[reportAttributeAccessIssue] - pipes are buffered readers
            send(data)


class Server:
    """An SSH server with one host key that accepts one key for root. Also acts as a jump host."""

    def __init__(self, client_key: paramiko.PKey) -> None:
        self.answers = threading.Event()  # not set: the server is silent, and its connections stay open
        self.answers.set()
        self.login_file = ""  # shell commands that run before each command
        self.key = paramiko.Ed25519Key.from_private_key(io.StringIO(new_key()))
        self._client_key = client_key
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections: list[paramiko.Transport] = []
        self.channels: list[paramiko.Channel | None] = []
        self._rules: list[_Rules] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        self.connections.append(transport)
        transport.add_server_key(self.key)
        rules = _Rules(self._client_key, self.login_file, self.answers)
        self._rules.append(rules)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=rules)
            while transport.is_active():
                channel = transport.accept(1)
                # The transport refers to its channels weakly: one that waits for its command would be closed.
                self.channels.append(channel)
                if channel is not None and hasattr(rules, "destination"):
                    threading.Thread(target=_forward, args=(channel, rules.destination), daemon=True).start()

    @property
    def commands(self) -> int:
        return sum(rules.commands for rules in self._rules)

    def node(self) -> RemoteNode:
        public = f"{self.key.get_name()} {self.key.get_base64()}"
        return RemoteNode(
            "iam-a", "ins-a", "10.0.4.20", "127.0.0.1", "root", (public,), eligible=True, ssh_port=self.port
        )

    def close(self) -> None:
        self._listener.close()
        self.answers.set()
        for transport in self.connections:
            transport.close()


def _forward(channel: paramiko.Channel, to: tuple[str, int]) -> None:
    with contextlib.suppress(OSError), socket.create_connection(to) as other:

        def back() -> None:
            with contextlib.suppress(OSError):
                while data := other.recv(1 << 16):
                    channel.sendall(data)

        threading.Thread(target=back, daemon=True).start()
        while data := channel.recv(1 << 16):
            other.sendall(data)


PRIVATE_KEY = new_key()


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server(load_private_key(PRIVATE_KEY))
    yield served
    served.close()


FACTS = {
    "do": "facts",
    "questions": {"file": [{"path": "/etc/hostname", "sha256": ""}, {"path": "/no/such", "sha256": ""}]},
    "virtual_ips": [],
}


def test_an_agent_call_uses_one_channel(server: Server) -> None:
    with connect(server.node(), PRIVATE_KEY) as connection:
        facts = connection.call([FACTS])[0]
    assert facts["answers"]["file"]["/no/such"] is None
    assert len(facts["answers"]["file"]["/etc/hostname"]["sha256"]) == 64


def test_nothing_is_sent_to_a_server_with_a_wrong_host_key(server: Server) -> None:
    other = paramiko.Ed25519Key.from_private_key(io.StringIO(new_key()))
    node = replace(server.node(), host_keys=(f"{other.get_name()} {other.get_base64()}",))
    with pytest.raises(HostKeyError) as caught:
        connect(node, PRIVATE_KEY)
    assert "the host key of 127.0.0.1 differs from the pinned one; nothing was sent" in str(caught.value)
    assert server.key.get_base64() in str(caught.value)
    assert f"reinstalled outside Pulumi (then: tandem replace {node.name})" in str(caught.value)
    assert not any(transport.is_authenticated() for transport in server.connections)


def test_a_server_without_a_key_of_the_pinned_type_is_rejected(server: Server) -> None:
    kind = "ecdsa-sha2-nistp256"
    key = paramiko.ECDSAKey.generate()
    with pytest.raises(HostKeyError, match="no host key of a pinned type"):
        connect(replace(server.node(), host_keys=(f"{kind} {key.get_base64()}",)), PRIVATE_KEY)


def test_nothing_is_sent_without_a_pinned_key(server: Server) -> None:
    with pytest.raises(HostKeyError, match="a pinned host key is required; nothing was sent"):
        connect(replace(server.node(), host_keys=()), PRIVATE_KEY)


def test_a_refused_login_is_an_error_with_user_and_node(server: Server) -> None:
    with pytest.raises(
        UnreachableError, match=r"iam-a \(10.0.4.20\): login as root with the deployment key was refused"
    ):
        connect(server.node(), new_key())


@pytest.mark.parametrize("order", ["the accepted key first", "the accepted key last"])
def test_a_node_with_either_key_is_reached_while_the_deployment_key_is_rotated(server: Server, order: str) -> None:
    keys = (PRIVATE_KEY, new_key()) if order == "the accepted key first" else (new_key(), PRIVATE_KEY)
    inventory = Inventory("test", (server.node(),), (), keys[0], other_private_key=keys[1])
    connection = connector(inventory, deadline_s=10)(server.node())
    try:
        assert connection.call([{"do": "held", "virtual_ips": [], "deadline_s": 0}]) == [[]]
    finally:
        connection.close()


def test_calls_one_after_the_other_use_one_agent(server: Server) -> None:
    with connect(server.node(), PRIVATE_KEY) as connection:
        for _ in range(3):
            connection.call([FACTS])
    assert server.commands == 1


def test_calls_at_the_same_time_use_one_agent_each(server: Server, tmp_path: Path) -> None:
    # Each agent starts when both have been requested, so neither call can use the agent of the other.
    both = f"[ $(ls {tmp_path} | wc -l) -ge 2 ]"
    server.login_file = f"mktemp -p {tmp_path} >&2; for _ in $(seq 1000); do {both} && break; sleep 0.02; done; "
    with connect(server.node(), PRIVATE_KEY) as connection, ThreadPoolExecutor(2) as pool:
        for call in [pool.submit(connection.call, [FACTS]) for _ in range(2)]:
            call.result()
        connection.call([FACTS])
    assert server.commands == 2


def test_an_unknown_operation_is_an_error_and_the_agent_continues(server: Server) -> None:
    with connect(server.node(), PRIVATE_KEY) as connection:
        with pytest.raises(NodeError, match=r"no_such_operation: KeyError: 'no_such_operation' \(this is a bug"):
            connection.call([{"do": "no_such_operation"}])
        connection.call([FACTS])
    assert server.commands == 1


@pytest.mark.parametrize(
    ("login_file", "seen", "look_at"),
    [
        ("echo no python3 here >&2; exit 127; ", "no python3 here", "python3 on that node"),
        ("echo 'sudo: a password is required' >&2; exit 1; ", "sudo: a password is required", "NOPASSWD"),
    ],
)
def test_the_error_contains_the_stderr_of_an_agent_that_does_not_start(
    server: Server, login_file: str, seen: str, look_at: str
) -> None:
    server.login_file = login_file
    with connect(server.node(), PRIVATE_KEY) as connection, pytest.raises(NodeError) as caught:
        connection.call([FACTS])
    assert "the agent ended without a response during facts" in str(caught.value)
    assert seen in caught.value.seen
    assert look_at in caught.value.look_at


@pytest.mark.parametrize(
    "login_file",
    [
        "echo Authorized use only; ",
        "printf 'no newline at the end'; ",
        "printf '\\377\\376 not UTF-8\\n{\"results\": []}\\n'; ",
        "echo tandem-; echo on stderr >&2; ",
        "set -x; tee /dev/stderr | ",
    ],
)
def test_output_of_login_files_is_ignored(server: Server, login_file: str) -> None:
    server.login_file = login_file
    with connect(server.node(), PRIVATE_KEY) as connection:
        for _ in range(2):
            facts = connection.call([FACTS])[0]
            assert facts["answers"]["file"]["/no/such"] is None


def test_a_call_does_not_hang_when_its_connection_breaks(server: Server) -> None:
    began = time.monotonic()
    with connect(server.node(), PRIVATE_KEY) as connection:
        _, _, code = connection.run("cut", deadline_s=20)
    assert code == -1
    assert time.monotonic() - began < 5


def test_a_call_ends_at_its_deadline(server: Server) -> None:
    began = time.monotonic()
    with (
        connect(server.node(), PRIVATE_KEY) as connection,
        pytest.raises(UnreachableError, match="the call did not end within"),
    ):
        connection.run("hang", deadline_s=0.3)
    assert time.monotonic() - began < 3


def test_a_call_ends_when_the_node_is_silent_and_its_connection_stays_open(server: Server) -> None:
    """A node behind a bastion that loses power: the bastion's TCP connection stays open."""
    with connect(server.node(), PRIVATE_KEY) as connection:
        connection.call([FACTS])
        connection.watch(ask_every_s=0.1, silent_after_s=0.5)
        assert connection.run("sleep 1; echo alive", deadline_s=20)[0] == "alive\n", "a node that answers may be slow"
        threading.Timer(0.3, server.answers.clear).start()
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="the node did not answer for"):
            connection.run("hang", deadline_s=20)
        assert time.monotonic() - began < 4


def test_a_node_that_does_not_start_a_command_is_an_error(server: Server) -> None:
    with connect(server.node(), PRIVATE_KEY) as connection:
        connection.channel_deadline_s = 0.3
        server.answers.clear()
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="the SSH connection broke"):
            connection.call([FACTS])
        assert time.monotonic() - began < 3


def test_large_output_and_large_input_do_not_block_each_other(server: Server) -> None:
    data = b"x" * 3_000_000
    with connect(server.node(), PRIVATE_KEY) as connection:
        out, err, code = connection.run("cat; head -c 1000000 /dev/zero | tr '\\0' e >&2", data, deadline_s=30)
    assert (len(out), len(err), code) == (3_000_000, 1_000_000, 0)


def test_a_refused_connection_is_retried_until_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    node = RemoteNode(
        "iam-a", "ins-a", "10.0.4.20", "127.0.0.1", "root", ("ssh-ed25519 AAAA",), eligible=True, ssh_port=port
    )
    tries: list[float] = []
    with pytest.raises(UnreachableError, match=f"no connection to 127.0.0.1 port {port}"):
        wait_until_reachable(
            node, PRIVATE_KEY, deadline_s=0.2, sleep=lambda seconds: (tries.append(seconds), time.sleep(0.1))[1]
        )
    assert len(tries) >= 2


def test_a_wrong_host_key_is_not_retried(server: Server) -> None:
    other = paramiko.Ed25519Key.from_private_key(io.StringIO(new_key()))
    node = replace(server.node(), host_keys=(f"{other.get_name()} {other.get_base64()}",))
    began = time.monotonic()
    with pytest.raises(HostKeyError):
        wait_until_reachable(node, PRIVATE_KEY, deadline_s=30)
    assert time.monotonic() - began < 5


def test_a_connection_through_a_bastion_pins_both_host_keys(server: Server) -> None:
    jump = Server(load_private_key(PRIVATE_KEY))
    try:
        bastion = replace(jump.node(), name="bastion")
        with connect(server.node(), PRIVATE_KEY, bastion) as connection:
            out, _, code = connection.run("echo here")
        assert (out, code) == ("here\n", 0)
        wrong = replace(bastion, host_keys=server.node().host_keys)
        with pytest.raises(HostKeyError, match="bastion"):
            connect(server.node(), PRIVATE_KEY, wrong)
    finally:
        jump.close()


def test_all_connections_through_a_bastion_share_one_login(server: Server) -> None:
    """Sshd refuses some of more than 10 logins at the same time (MaxStartups)."""
    jump = Server(load_private_key(PRIVATE_KEY))
    bastion = replace(jump.node(), name="bastion")
    nodes = tuple(replace(server.node(), name=f"iam-{n}") for n in range(12))
    connect_to = connector(Inventory("test", nodes, (), PRIVATE_KEY, bastion), deadline_s=20)
    try:
        with ThreadPoolExecutor(len(nodes)) as pool:
            connections = list(pool.map(connect_to, nodes))
        assert len(jump.connections) == 1
        assert connections[-1].call([FACTS])
        for connection in connections:
            connection.close()
        jump.connections[0].join(10)
        assert not jump.connections[0].is_active(), "the last connection logs out"
        connect_to(nodes[0]).close()
        assert len(jump.connections) == 2
    finally:
        jump.close()


def test_a_bastion_that_cannot_be_reached_is_an_error_of_every_node(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    bastion = replace(server.node(), name="bastion", ssh_port=port)
    connect_to = connector(Inventory("test", (server.node(),), (), PRIVATE_KEY, bastion), deadline_s=0)
    with pytest.raises(UnreachableError, match=r"bastion \(10.0.4.20\): no connection to 127.0.0.1"):
        connect_to(server.node())


def test_logins_are_retried_with_growing_pauses() -> None:
    """At most 5 in any 10 s, so that no packet filter or security agent takes them for an attack."""
    times, now = [0.0], 0.0
    for pause in itertools.islice(retry_pauses(), 60):
        now += pause
        times.append(now)
    assert all(sum(start <= time < start + 10 for time in times) <= 5 for start in times)
    assert now / 60 < 4


@pytest.mark.parametrize(
    ("login_file", "message"),
    [
        pytest.param("sleep 5; ", r"the transfer stopped for 0 s after \d+\.\d MiB", id="a node that stops reading"),
        pytest.param("exec cat >/dev/null; ", "the call did not end within 0 s", id="no response after the transfer"),
        pytest.param("exec head -c 2000000; ", "the agent ended without a response", id="an agent that ends"),
    ],
)
def test_a_transfer_that_does_not_end_is_an_error(
    server: Server, tmp_path: Path, login_file: str, message: str
) -> None:
    source = tmp_path / "release"
    source.write_bytes(b"x" * 12_000_000)
    server.login_file = login_file
    with connect(server.node(), PRIVATE_KEY) as connection:
        connection.stalled_after_s = 0.4
        with pytest.raises(ProvisioningError, match=message):
            connection.call([{"do": "receive"}], upload=Upload(source), deadline_s=0.3)


def test_a_slow_transfer_is_not_cut_at_the_deadline_of_the_call(server: Server, tmp_path: Path) -> None:
    source = tmp_path / "release"
    source.write_bytes(b"x" * 4_000_000)
    sent: list[int] = []
    server.login_file = "for n in 1 2 3 4; do head -c 600000 >/dev/null; sleep 0.3; done; echo done >&2; exit 3; "
    with connect(server.node(), PRIVATE_KEY) as connection:
        connection.stalled_after_s = 20
        with pytest.raises(NodeError, match="exit code 3"):
            connection.call([{"do": "receive"}], upload=Upload(source, 1_000_000, sent.append), deadline_s=5)
    assert sent[0] > 1_000_000


@pytest.mark.parametrize("form", FORMATS)
def test_deployment_keys_can_be_openssh_or_pem(form: str) -> None:
    assert load_private_key(new_key(form)).get_name() == "ssh-ed25519"


def test_deployment_keys_can_be_rsa() -> None:
    key = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    assert load_private_key(pem).get_name() == "ssh-rsa"


def test_the_error_for_an_invalid_deployment_key_omits_the_key() -> None:
    with pytest.raises(NodeError) as caught:
        load_private_key("-----BEGIN PRIVATE KEY-----\ntopsecret\n-----END PRIVATE KEY-----")
    assert "topsecret" not in str(caught.value)


def test_paramikos_log_is_not_printed() -> None:
    """Otherwise each retry through a bastion would print `Secsh channel 0 open FAILED: Connection refused`."""
    code = "import logging, provisioning.ssh.transport; logging.getLogger('paramiko.transport').error('open FAILED')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")
