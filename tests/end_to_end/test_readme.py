"""The commands of README and docs, word for word; lecture 001's curl with its names and plain HTTP."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.group import Group
from tests.end_to_end.lab import ROOT, Lab, wait_until

# They end with 1 while a node is broken on purpose.
FINDING = re.compile(r"tandem (health|status|doctor)\b")


def commands_of(section: str, page: str = "README.md") -> list[str]:
    """The lines of the first code block of a section."""
    text = (ROOT / page).read_text()
    block = re.search(rf"^#+ {section}$.*?^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line.strip()]


def steps_of(page: str) -> list[str]:
    """The commands of the numbered steps of a page, without those of `make`."""
    blocks = re.findall(r"^   ```\n(.*?)^   ```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if not line.startswith(("make ", "export "))]


def test_five_commands_log_in_create_a_secret_and_a_policy_and_ask_for_a_decision(deployed: Lab) -> None:
    # Earlier tests have powered the node of Redis off: servers may have connections that only their side knows.
    commands = commands_of("Use it")
    assert len(commands) == 5
    done = deployed.run("bash", "-euo", "pipefail", "-c", "\n".join(commands), timeout_s=300)
    assert json.loads(done.stdout.splitlines()[-1]) == {"allowed": True}, done.stdout


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_curl_of_lecture_001_is_answered_over_plain_http(group: Group) -> None:
    with group.changed_to(ROOT / "samples" / "lectures" / "lecture-001.yaml") as lab:
        url = f"http://{lab.outputs()['public_ip']}/healthz"

        def ask() -> subprocess.CompletedProcess[str]:
            return lab.client("curl", "-sS", "-m", "5", "-H", "Host: iam.api.marmotedu.com", url, check=False)

        answer = wait_until(ask, lambda done: done.returncode == 0, deadline_s=30, what="the lecture's curl")
        assert json.loads(answer.stdout) == {"status": "ok"}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_steps_of_getting_started_work_one_after_the_other(deployed: Lab, tmp_path: Path) -> None:
    commands = steps_of("docs/getting-started.md")
    assert len(commands) > 10
    shown: dict[str, str] = {}
    for command in commands:
        done = deployed.run("bash", "-c", f"cd {tmp_path} && {command}", check=False, timeout_s=400)
        assert done.returncode in ({0, 1} if FINDING.match(command) else {0}), (command, done.stdout, done.stderr)
        shown[command] = done.stdout
    assert "iam-apiserver" in shown["tandem health"]
    assert (tmp_path / "local.html").is_file()
    assert deployed.run("tandem", "health").returncode == 0


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_pull_request_gets_a_cloud_of_its_own(deployed: Lab) -> None:
    """Beside the cloud of the other tests, with the commands of docs/team.md."""
    commands = commands_of("A stack for each pull request", "docs/team.md")
    assert commands[0] == "export LOCALCLOUD_NAME=pr123"
    before = deployed.outputs()["nodes"]
    done = deployed.run("bash", "-euxo", "pipefail", "-c", "\n".join(commands), check=False, timeout_s=1000)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Health of stack local" in done.stdout
    assert not Path("/var/lib/localcloud/pr123").exists()
    assert deployed.outputs()["nodes"] == before
    shutil.rmtree(ROOT / ".tandem" / "pr123", ignore_errors=True)
