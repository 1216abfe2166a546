"""Rollouts beside another operator, on nodes whose login files print, and with an apt that is busy or was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.lab import BIN, ROOT, CommandError, Lab, wait_until

pytestmark = [pytest.mark.root, pytest.mark.long]

_LOCKS = "cat /var/lib/tandem/lock.json 2>/dev/null || true"
# Delays each installation, so that a test can interrupt it.
_SLOW_APT = "echo 'DPkg::Pre-Invoke {\"sleep 60\"};' > /etc/apt/apt.conf.d/99slow"
_LISTS_LOCK = (
    'python3 -c \'import fcntl, time; file = open("/var/lib/apt/lists/lock", "a"); '
    "fcntl.lockf(file, fcntl.LOCK_EX); time.sleep(40)' >/dev/null 2>&1 &"
)


def change(lab: Lab) -> None:
    """Give the next `up` something to repair on both nodes."""
    for node in ("iam-a", "iam-b"):
        lab.on(node, "sed -i s/4096/77/ /etc/nginx/nginx.conf")


@contextmanager
def another_operator(lab: Lab, tmp_path: Path, *wrapper: str) -> Generator[subprocess.Popen[str]]:
    """Hold the change lock in another process."""
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(lab.outputs()))
    environment = {**os.environ, "LOCALCLOUD_NAME": lab.name, "PATH": f"{BIN}:{os.environ['PATH']}"}
    program = (sys.executable, "-m", "tests.end_to_end.hold_lock", str(outputs))
    process = subprocess.Popen(
        ["localcloud", "exec", "--", *wrapper, *program],
        env=environment, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    with process.stdin, process.stdout:
        yield process
        process.kill()
        process.wait(30)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def test_an_owner_in_another_pid_namespace_is_not_robbed_until_it_is_unlocked(deployed: Lab, tmp_path: Path) -> None:
    with another_operator(deployed, tmp_path, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc") as other:
        assert line(other) == "locked by 1"
        change(deployed)
        with pytest.raises(CommandError, match="another rollout holds the change lock of this node"):
            deployed.up()
        assert ", process 1, for " in deployed.tandem("unlock", "--yes")
        go_on(other)
        assert "this rollout does not hold the change lock of this node" in line(other)
    deployed.up()
    assert "4096" in deployed.on("iam-a", "grep worker_connections /etc/nginx/nginx.conf")


def test_the_lock_of_a_killed_owner_is_released_immediately(deployed: Lab, tmp_path: Path) -> None:
    with another_operator(deployed, tmp_path) as other:
        pid = int(line(other).rpartition(" ")[2])
        assert "token" in deployed.on("iam-b", _LOCKS)
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: deployed.on("iam-b", _LOCKS), lambda text: not text, deadline_s=10, what="the lock's release"
        )


def test_a_frozen_owner_loses_its_lock_and_can_change_nothing_any_more(deployed: Lab, tmp_path: Path) -> None:
    with another_operator(deployed, tmp_path) as other:
        pid = int(line(other).rpartition(" ")[2])
        os.kill(pid, signal.SIGSTOP)
        change(deployed)
        began = time.monotonic()
        deployed.up()
        assert time.monotonic() - began > 20, "the lease lasts 30 s"
        os.kill(pid, signal.SIGCONT)
        go_on(other)
        assert "this rollout does not hold the change lock of this node" in line(other)


def test_output_of_login_files_and_bytes_that_are_not_utf_8_do_not_matter(deployed: Lab) -> None:
    user = deployed.outputs()["nodes"][0]["user"]
    for file in (f"/home/{user}/.bashrc", "/etc/bash.bashrc"):
        deployed.on(
            "iam-b",
            f"cp {file} {file}.kept; printf 'printf \"\\\\377 Authorized use only\"\\n' | cat - {file}.kept > {file}",
        )
    try:
        change(deployed)
        deployed.on("iam-b", "printf '# \\377\\n' >> /etc/nginx/nginx.conf")
        deployed.up()
        assert "4096" in deployed.on("iam-b", "grep worker_connections /etc/nginx/nginx.conf")
    finally:
        for file in (f"/home/{user}/.bashrc", "/etc/bash.bashrc"):
            deployed.on("iam-b", f"mv {file}.kept {file}")


def test_an_installation_that_was_killed_leaves_no_policy_file_and_another_apt_is_waited_for(deployed: Lab) -> None:
    policy = "test -e /usr/sbin/policy-rc.d && echo exists || true"
    deployed.on("iam-b", f"apt-get remove -q -y keepalived; {_SLOW_APT}")
    failed: list[CommandError] = []

    def up() -> None:
        try:
            deployed.up()
        except CommandError as error:
            failed.append(error)

    rollout = threading.Thread(target=up)
    rollout.start()
    wait_until(lambda: deployed.on("iam-b", policy), bool, deadline_s=120, what="the installation")
    time.sleep(1)
    deployed.localcloud("fault", "iam-b", "power-off")
    rollout.join()
    assert failed
    deployed.localcloud("fault", "iam-b", "heal")
    deployed.on("iam-b", f"rm /etc/apt/apt.conf.d/99slow; rm -rf /var/lib/apt/lists/*; {_LISTS_LOCK}")
    deployed.up()
    assert not deployed.on("iam-b", policy)
    assert deployed.on("iam-b", "systemctl is-active keepalived").strip() == "active"
