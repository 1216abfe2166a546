"""Every `tandem` and `localcloud` command that a message or a page of the docs names exists, with its options."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group

from localcloud.main import app as localcloud
from localcloud.providers.plugins import install_command
from operations.commands import app as tandem

ROOT = Path(__file__).resolve().parents[1]
PLACES = (
    "README.md",
    "docs",
    "stacks",
    "settings",
    "components",
    "provisioning",
    "operations",
    "localcloud",
    "scripts",
)
NAMED = re.compile(r"(?:`|look_at=\"(?:[^\"]*[ ;])?|try |^)(tandem|localcloud) ([a-z][a-z-]+)", re.MULTILINE)


def _texts() -> list[Path]:
    files = [file for place in PLACES for file in [ROOT / place, *(ROOT / place).rglob("*")] if file.is_file()]
    return [file for file in files if file.suffix in {".py", ".md", ".yaml", ".j2", ".sh", ""}]


@pytest.mark.parametrize("name", ["tandem", "localcloud"])
def test_every_command_that_a_text_names_exists(name: str) -> None:
    commands = set(GROUPS[name].commands)
    named = {
        (word, str(file.relative_to(ROOT)))
        for file in _texts()
        for program, word in NAMED.findall(file.read_text())
        if program == name
    }
    assert len(named) > 4
    commands.add("is")  # from prose such as "localcloud is ..."
    assert {(word, file) for word, file in named if word not in commands} == set()


# ---- every command of README and docs, parsed with its options and arguments --------------------------------------

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUPS = {"tandem": get_group(tandem), "localcloud": get_group(localcloud)}
COMMAND = re.compile(r"(?:tandem|localcloud|make|scripts/[\w-]+)(?: .*)?$", re.DOTALL)


def _code_of(page: Path) -> Iterator[str]:
    """The lines of code blocks and the pieces of inline code that begin with a command of this project."""
    text = page.read_text()
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^ *```\w*\n.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in _joined(block)]
    lines += [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    yield from (line for line in lines if COMMAND.match(line))


def _joined(block: str) -> Iterator[str]:
    """The lines, with those that a backslash or an open quote continues."""
    text = ""
    for line in block.splitlines():
        text += line.removesuffix("\\")
        if line.endswith("\\") or text.split("#")[0].count("'") % 2:
            text += "\n"
            continue
        yield text
        text = ""


def words_of(line: str) -> list[str]:
    """The words of the first command of a line, without redirections and the rest of a pipeline."""
    words = shlex.split(line.replace("[--", "--").replace("]", ""), comments=True)  # [--json]: may be left out
    ends = (n for n, word in enumerate(words) if word in {"|", "&&", "||"} or word[:1] in {"<", ">"})
    end = min([*ends, *(n + 1 for n, word in enumerate(words) if word.endswith(";")), len(words)])
    return [word.rstrip(";") for word in words[:end]]


LINES = sorted({(str(page.relative_to(ROOT)), line) for page in PAGES for line in _code_of(page)})


def _parse(group: Any, words: list[str]) -> None:
    """Parse a command line without running it. Raises: click's UsageError."""
    command, context = group, None
    while hasattr(command, "commands") and words:
        name, *words = words
        if name.startswith("-"):
            return
        if command.name == "fault" and name not in command.commands:  # `localcloud fault NODE ...`
            name, words = "node", [name, *words]
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    # Prose names commands without their arguments, and examples have placeholders.
    if words and "..." not in words and "--help" not in words and command.name != "init":
        context = command.make_context(command.name, words)
        context.close()


def test_the_pages_name_many_commands() -> None:
    assert len([line for _, line in LINES if line.startswith("tandem ")]) > 60


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line[:60]}" for page, line in LINES])
def test_every_command_in_readme_and_docs_can_be_parsed(page: str, line: str) -> None:
    program, *words = words_of(line)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert [word for word in words if "=" not in word and word not in targets] == [], page
    elif program.startswith("scripts/"):
        assert os.access(ROOT / program, os.X_OK), page
    else:
        _parse(GROUPS[program], words)


@pytest.mark.parametrize("page", ["README.md", "docs/providers.md"])
@pytest.mark.parametrize("plugin", ["tencentcloud", "random", "tls"])
def test_the_pages_install_the_pinned_version_of_each_provider_plugin(page: str, plugin: str) -> None:
    assert install_command(plugin) in [line.strip() for line in (ROOT / page).read_text().splitlines()]
