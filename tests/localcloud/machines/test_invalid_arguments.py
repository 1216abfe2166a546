"""Invalid arguments of the command: a message with the valid values, and exit code 1 or 2."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Generator

import pytest

from .command import NOTHING, LocalCloud

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def cloud() -> Generator[LocalCloud]:
    created = LocalCloud(f"w{os.getpid()}")
    try:
        created.up()
        created.pair()
        yield created
    finally:
        created.down()
    assert created.left() == NOTHING


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("fault", "nosuch", "pause"), 1, "no instance is named 'nosuch'; known: node-0"),
        (("fault", "node-0", "explode"), 1, "unknown fault 'explode'; known: link-down, link-up"),
        (("fault", "node-0"), 2, "Missing argument 'FAULT'"),
        (("fault", "node-0", "kill", "sshd"), 1, "usage: localcloud fault NODE kill PROCESS SIGNAL"),
        (("fault", "node-0", "kill", "nosuch", "KILL"), 1, "no process 'nosuch' on node-0; running:"),
        (("fault", "node-0", "kill", "sshd", "LOUD"), 1, "unknown signal 'LOUD'; use KILL"),
        (("fault", "node-0", "cpu-stress", "many"), 1, "usage: localcloud fault NODE cpu-stress [LOOPS]"),
        (("fault", "node-0", "slow-disk", "0"), 1, "usage: localcloud fault NODE slow-disk [MIB_PER_SECOND]"),
        (("fault", "node-0", "isolate-from", "node-0"), 1, "cannot be isolated from itself"),
        (("ssh", "nosuch", "--", "true"), 1, "no instance is named 'nosuch'"),
        (("console", "../x"), 1, "no instance is named '../x'"),
        (("console", "a b\u4e3b"), 1, "no instance is named 'a b\u4e3b'"),
        (("expose", "somewhere"), 1, "the public address must be an IPv4 address (got 'somewhere')"),
        (("expose", "203.0.113.10:x"), 1, "the address must be PUBLIC or PUBLIC:PORT, for example 203.0.113.10:443"),
        (("expose", "203.0.113.10:0"), 1, "(got '203.0.113.10:0')"),
        (("expose", "203.0.113.10:70000"), 1, "with a port up to 65535 (got '203.0.113.10:70000')"),
        (("expose", "8.8.8.8"), 1, "8.8.8.8 is not bound to an instance or a HAVIP of this cloud; bound:"),
        (("expose", "203.0.113.99"), 1, "bound: 203.0.113.10"),
        (("expose", "--port", "0"), 2, "Invalid value for '--port'"),
        (("expose", "--port", "99999"), 2, "Invalid value for '--port'"),
        (("takeover-delay", "inf"), 2, "Invalid value for 'seconds'"),
        (("takeover-delay", "soon"), 2, "Invalid value for 'seconds'"),
        (("up", "--timing", "wrong"), 2, "'wrong' is not one of 'short'"),
        (("up", "--takeover-delay", "-1"), 2, "Invalid value for '--takeover-delay'"),
        (("status", "--name", "nothere"), 1, "cloud nothere does not respond at"),
        (
            ("status", "--json", "--name", "Not_A_Name"),
            1,
            "the cloud's name must be 1 to 20 characters of a-z and 0-9 (got 'Not_A_Name')",
        ),
        (
            ("exec", "--name", "nothere", "--", "true"),
            1,
            "cloud nothere is not up; start it with `localcloud up` or `make up`",
        ),
        (
            ("client", "--name", "nothere", "--", "true"),
            1,
            "cloud nothere is not up; start it with `localcloud up` or `make up`",
        ),
        (("exec",), 2, "Missing argument 'CMD ...'"),
        (("exec", "--", "/etc/passwd"), 126, "/etc/passwd: Permission denied"),
        (("ssh", "node-0", "--", "nosuchcmd"), 127, "nosuchcmd: No such file or directory"),
        (("frobnicate",), 2, "No such command 'frobnicate'"),
    ],
)
def test_an_invalid_argument_is_rejected_with_the_valid_values(
    cloud: LocalCloud, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = cloud.run(*arguments)
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())
    assert (done.returncode, message in text, "Traceback" in text) == (code, True, False), text


def test_an_occupied_port_is_reported(cloud: LocalCloud) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = cloud.run("expose", "--port", str(port))
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be opened" in done.stderr
    assert "choose another with --port" in done.stderr


def test_a_shell_on_a_paused_instance_is_refused_instead_of_frozen(cloud: LocalCloud) -> None:
    cloud.must("fault", "node-0", "pause")
    try:
        done = cloud.run("ssh", "node-0", "--", "true", timeout_s=10)
        assert (done.returncode, "node-0 is paused" in done.stderr) == (1, True)
    finally:
        cloud.must("fault", "node-0", "resume")
    assert cloud.run("ssh", "node-0", "--", "true").returncode == 0


def test_resume_refuses_a_powered_off_instance_and_reports_an_instance_that_was_not_paused(cloud: LocalCloud) -> None:
    assert "it was not paused" in cloud.must("fault", "node-1", "resume")
    cloud.must("fault", "node-1", "power-off")
    done = cloud.run("fault", "node-1", "resume")
    assert (done.returncode, "is not running" in done.stderr) == (1, True)
    assert "powered on" in cloud.must("fault", "node-1", "heal")


def test_console_follow_prints_new_output(cloud: LocalCloud) -> None:
    with subprocess.Popen(
        cloud.words("console", "--name", cloud.name, "node-0", "-f"), stdout=subprocess.PIPE
    ) as shown:
        assert shown.stdout is not None
        cloud.on("node-0", "sh", "-c", "echo printed just now >/dev/console")
        lines = iter(shown.stdout.readline, b"")
        assert any(b"printed just now" in line for line in lines)
        shown.terminate()


def test_doctor_finds_nothing_missing_on_a_host_with_a_running_cloud(cloud: LocalCloud) -> None:
    assert cloud.must("doctor") == "this host meets all requirements of localcloud\n"


def test_each_fault_report_has_the_time_in_milliseconds(cloud: LocalCloud) -> None:
    said = cloud.must("fault", "node-0", "link-down") + cloud.must("fault", "node-0", "heal")
    form = r"\d\d:\d\d:\d\d\.\d{3} node-0 %s: .+ \(\d+\.\d ms\)\n"
    assert re.fullmatch((form % "link-down") + (form % "heal"), said)


def test_isolation_survives_a_killed_daemon_and_is_healed(cloud: LocalCloud) -> None:
    cloud.must("fault", "node-0", "isolate-from", "node-1")
    for pid, line in cloud.processes().items():
        if "localcloud.daemon" in line:
            os.kill(pid, signal.SIGKILL)
    cloud.up()
    ping = ("ssh", "node-0", "--", "ping", "-c1", "-W1", "10.0.4.21")
    assert cloud.run(*ping).returncode == 1
    assert "no longer isolated" in cloud.must("fault", "node-1", "heal")
    assert cloud.run(*ping).returncode == 0
