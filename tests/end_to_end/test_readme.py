"""README's tour, word for word, on the deployed group; lecture 001's curl with its names and plain HTTP."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.end_to_end.group import Group
from tests.end_to_end.lab import ROOT, Lab, wait_until


def commands_of(section: str) -> list[str]:
    """The lines of the first code block of a section of README."""
    readme = (ROOT / "README.md").read_text()
    block = re.search(rf"^## {section}$.*?^```\w*\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line.strip()]


def test_five_commands_log_in_create_a_secret_and_a_policy_and_ask_for_a_decision(deployed: Lab) -> None:
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
