"""The pre-commit hooks and CI run the same checks."""

from __future__ import annotations

import re

import yaml

from operations.workspace import PROJECT_ROOT


def test_pre_commit_runs_what_make_check_runs() -> None:
    script = (PROJECT_ROOT / "scripts" / "check").read_text()
    checked = {command.strip() for command in re.findall(r"run [a-z-]+ ([^&]+)&", script)}
    hooks = yaml.safe_load((PROJECT_ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    # Hooks run on the changed files and fix them; the script checks all files and fixes none.
    before_commit = {hook["entry"].removeprefix(".venv/bin/").removesuffix(" --fix") for hook in hooks}
    assert {re.sub(r"( --check)?( \.)?$", "", command) for command in checked} == before_commit
    assert len(checked) == len(hooks) == 6
