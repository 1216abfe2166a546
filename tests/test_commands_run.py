"""Every command of README and docs, with each of its options, is run by a test: found in the calls of the tests."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_commands_named import GROUPS, LINES, words_of

TESTS = Path(__file__).resolve().parent
# Functions of the tests that run a command; `lab.up("--force")` runs `tandem up --force`.
RUNNERS = frozenset(
    {"tandem", "localcloud", "operator", "run", "succeed", "fail", "start", "started", "invoke", "must", "up",
     "ApiProcess", "_run", "client", "Popen"}
)  # fmt: skip
# What no call shows, and the test that runs the same code.
ELSEWHERE = {
    "localcloud actions --markdown": "localcloud/api/test_docs.py::test_the_page_lists_the_present_actions_and_rules",
    "localcloud api --http": "localcloud/api/test_commands.py::test_ready_is_printed_with_the_addresses",
    "localcloud api --https": "localcloud/api/test_official_clients.py::test_every_action_is_called_by_a_life_cycle",
    "localcloud api --ca-out": "localcloud/api/test_official_clients.py::test_every_action_is_called_by_a_life_cycle",
    "localcloud fault api --stale-ms": "engine/test_api_faults.py::test_a_deployment_succeeds_although_reads_lag_behind_writes",  # noqa: E501 - one name
    "localcloud doctor --install": "test_programs.py::test_the_declared_programs_are_installed_before_the_tests",
    "localcloud log --follow": "localcloud/api/test_commands.py::test_log_follow_prints_new_requests",
    "tandem --install-completion": "unit/operations/test_command_line.py::test_completion_is_installed_for_the_shell_that_runs_the_command",  # noqa: E501 - one name
    "tandem restore --empty": "unit/operations/test_backup.py::test_the_decision_about_lost_data_is_recorded_on_every_node",  # noqa: E501 - one name
    "tandem restore --discard": "unit/operations/test_backup.py::test_damaged_data_is_replaced_without_a_backup_only_at_the_operators_word",  # noqa: E501 - one name
}


def commands_of(program: str, words: list[str]) -> Iterator[str]:
    """The command with each of its options ("tandem drain --minutes"), or without options only the command."""
    command: Any = GROUPS[program]
    path = [program]
    while hasattr(command, "commands") and words:
        if command.name == "fault" and words[0] not in command.commands:
            words = ["node", *words]
        if words[0] not in command.commands:
            break
        path.append(words[0])
        command, words = command.commands[words[0]], words[1:]
    own = words[: words.index("--")] if "--" in words else words
    options = [word.split("=")[0] for word in own if re.match("--[a-z]", word)]
    options = [option for option in options if option not in {"--help", "--stack", "--name"}]
    yield from (" ".join([*path, option]) for option in options) if options else iter([" ".join(path)])


@functools.cache
def documented() -> dict[str, str]:
    """Each command with an option, and a page that names it."""
    found: dict[str, str] = {}
    for page, line in LINES:
        program, *words = words_of(line)
        if program in GROUPS and words:
            found |= dict.fromkeys(commands_of(program, words), page)
    return found


@functools.cache
def calls() -> tuple[frozenset[str], ...]:
    """The words in the arguments of each call that runs a command, with the name of the called function."""
    found: list[frozenset[str]] = []
    for file in TESTS.rglob("*.py"):
        found += [words for node in ast.walk(ast.parse(file.read_text())) if (words := _words(node))]
    return tuple(found)


def _words(node: ast.AST) -> frozenset[str] | None:
    if not isinstance(node, ast.Call):
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name not in RUNNERS:
        return None
    texts = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return frozenset({name, *(word for text in texts for word in text.split())})


def test_many_commands_are_documented() -> None:
    assert len(documented()) > 60


@pytest.mark.parametrize("command", sorted(documented()))
def test_every_documented_command_is_run_by_a_test(command: str) -> None:
    if command in ELSEWHERE:
        file, _, name = ELSEWHERE[command].partition("::")
        assert f"def {name}(" in (TESTS / file).read_text()
        return
    needed = set(command.split()[1:]) - {"node"}
    assert any(needed <= words for words in calls()), documented()[command]
