"""User data of every kind that cloud-init supports, and of unsupported kinds: the machine boots in any case."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Generator
from dataclasses import replace
from email.message import EmailMessage

import pytest
from network.lab import PLACES, Lab, wait_until

pytestmark = pytest.mark.root

CAT = PLACES["cat"]
_LIMIT = 16 * 1024
_CONFIG = b"#cloud-config\nwrite_files:\n  - {path: /root/config, content: was here}\nruncmd: [[touch, /root/ran]]\n"
_SCRIPT = b"#!/bin/sh\necho was here >/root/script\n"


def _multipart() -> bytes:
    parts = EmailMessage()
    parts.make_mixed()
    parts.add_attachment(_CONFIG.decode(), subtype="cloud-config", filename="one.cfg")
    parts.add_attachment(_SCRIPT.decode(), subtype="x-shellscript", filename="two.sh")
    return parts.as_bytes()


@pytest.fixture
def cat(booted: Lab) -> Generator[Lab]:
    yield booted
    booted.infrastructure.destroy_machine(CAT.instance_id)


def _boot(lab: Lab, user_data: bytes) -> None:
    lab.configure()
    lab.infrastructure.start_machine(replace(lab.spec("cat"), user_data=user_data))
    finished = "/var/lib/cloud/instance/boot-finished"
    wait_until(lambda: lab.run("cat", "test", "-e", finished).returncode == 0, "cloud-init has finished", 30)


@pytest.mark.parametrize(
    ("user_data", "made"),
    [
        pytest.param(_SCRIPT, ["script"], id="a script"),
        pytest.param(_CONFIG, ["config", "ran"], id="cloud-config"),
        pytest.param(gzip.compress(_CONFIG), ["config", "ran"], id="gzipped"),
        pytest.param(_multipart(), ["config", "ran", "script"], id="multipart"),
        pytest.param(gzip.compress(_multipart()), ["config", "ran", "script"], id="gzipped multipart"),
        pytest.param(_SCRIPT + b"#" * (_LIMIT - len(_SCRIPT)), ["script"], id="16 KiB"),
        pytest.param(base64.b64encode(_CONFIG), [], id="encoded twice, decoded once"),
        pytest.param(bytes(range(256)) * 64, [], id="16 KiB of every byte"),
        pytest.param(b"#cloud-config\n{[: no yaml", [], id="broken YAML"),
        pytest.param(b"#!/bin/sh\nexit 1\n", [], id="a script that fails"),
        pytest.param(b"", [], id="none"),
    ],
)
def test_user_data_are_run_and_served_unchanged(cat: Lab, user_data: bytes, made: list[str]) -> None:
    _boot(cat, user_data)
    assert cat.must("cat", "sh", "-c", "cd /root; ls config ran script 2>/dev/null; true").split() == made
    shown = cat.must("cat", "sh", "-c", "curl -s http://metadata.tencentyun.com/latest/user-data | base64 -w0")
    assert base64.b64decode(shown) == user_data
    assert cat.must("cat", "systemctl", "is-active", "ssh") == "active\n"
    assert cat.must("cat", "cat", "/home/debian/.ssh/authorized_keys").startswith("ssh-ed25519 ")


def test_user_data_that_reboot_the_machine_run_once(cat: Lab) -> None:
    user_data = b"#cloud-config\nruncmd: [[sh, -c, 'echo ran >>/root/ran']]\npower_state: {mode: reboot, delay: now}\n"
    cat.configure()
    cat.infrastructure.start_machine(replace(cat.spec("cat"), user_data=user_data))
    first = cat.infrastructure.get("cat").init_pid()
    wait_until(lambda: cat.infrastructure.get("cat").init_pid() not in {None, first}, "it has rebooted", 30)
    wait_until(
        lambda: cat.run("cat", "systemctl", "is-active", "cloud-final").stdout == "active\n", "it is running", 30
    )
    assert cat.must("cat", "cat", "/root/ran") == "ran\n"
