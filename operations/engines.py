"""Which engine runs the program: `pulumi` wherever it is on the PATH, localcloud's own engine otherwise.

localcloud is a command here, never an import: Tandem and localcloud know nothing of each other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from operations.errors import EngineError, OperationError
from operations.workspace import PROJECT_ROOT, Workspace, find_workspace


class Engine(Protocol):
    name: str

    def up(self) -> None:
        """Deploy the stack, showing the engine's own progress. Raises EngineError."""
        ...

    def preview(self) -> None:
        """Show what `up` would change; nothing is changed. Raises EngineError."""
        ...

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        """The stack's exports; empty when nothing was deployed. Raises EngineError."""
        ...


class PulumiEngine:
    name = "pulumi"

    def __init__(self, stack: str, workspace: Workspace | None, config_file: Path | None = None) -> None:
        self._stack = stack
        self._directory = workspace.project if workspace else PROJECT_ROOT
        self._environment = _say_file(config_file) | (
            workspace.prepare_for_pulumi(stack, config_file) if workspace else {}
        )
        self._owns_backend = workspace is not None

    def up(self) -> None:
        self._ensure_stack()
        _run(self._pulumi("up", "--stack", self._stack, "--yes", "--skip-preview"), self._environment)

    def preview(self) -> None:
        self._ensure_stack()
        _run(self._pulumi("preview", "--stack", self._stack, "--diff"), self._environment)

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        if self._owns_backend and not any((Path(self._directory).parent / "pulumi").rglob(f"{self._stack}.json*")):
            return {}
        shown = ["--show-secrets"] if show_secrets else []
        command = self._pulumi("stack", "output", "--json", "--stack", self._stack, *shown)
        return json.loads(_run(command, self._environment, capture=True))

    def _ensure_stack(self) -> None:
        if self._owns_backend:  # on localcloud nobody ran `pulumi stack init`
            _run(self._pulumi("stack", "select", "--create", self._stack), self._environment, capture=True)

    def _pulumi(self, *arguments: str) -> list[str]:
        return ["pulumi", "--cwd", str(self._directory), "--non-interactive", *arguments]


class LocalcloudEngine:
    name = "localcloud engine"

    def __init__(self, stack: str, workspace: Workspace, config_file: Path | None = None) -> None:
        self._settings = ["--config-file", str(config_file.resolve())] if config_file else []
        self._environment = _say_file(config_file)
        self._options = ["--stack", stack, "--cwd", str(workspace.program), "--state-dir", str(workspace.engine_state)]
        self._state = workspace.engine_state / f"{stack}.json"

    def up(self) -> None:
        _run([_localcloud(), "engine", "up", "--yes", *self._options, *self._settings], self._environment)

    def preview(self) -> None:
        _run([_localcloud(), "engine", "preview", *self._options, *self._settings], self._environment)

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        if not self._state.exists():
            return {}
        shown = ["--show-secrets"] if show_secrets else []
        return json.loads(_run([_localcloud(), "engine", "output", "--json", *shown, *self._options], {}, capture=True))


def choose_engine(
    stack: str, environment: Mapping[str, str] | None = None, *, config_file: Path | None = None
) -> Engine:
    """The engine that owns the stack's state, or would own a new one's.

    `config_file` replaces the settings of a stack on localcloud. Raises OperationError where a real cloud's stack
    meets a machine without `pulumi`.
    """
    environment = os.environ if environment is None else environment
    workspace = find_workspace(stack, environment)
    pulumi = shutil.which("pulumi", path=environment.get("PATH"))
    if workspace is None:
        if pulumi is None:
            raise OperationError(
                f"stack {stack} needs the pulumi command, which is not on the PATH.\n"
                "  Install it: https://www.pulumi.com/docs/install/ (localcloud's own engine is for stack local only)"
            )
        return PulumiEngine(stack, None)
    # A state made by one engine cannot be read by the other: whoever began goes on.
    if pulumi is None or (workspace.engine_state / f"{stack}.json").exists():
        return LocalcloudEngine(stack, workspace, config_file)
    return PulumiEngine(stack, workspace, config_file)


def command_inside(stack: str, arguments: Sequence[str], environment: Mapping[str, str]) -> list[str] | None:
    """The same `tandem` command inside `localcloud exec`, for a stack that lives there; None where no such is needed.

    Its machines have addresses that nobody outside can reach, and that may even be somebody else's there.
    """
    if "LOCALCLOUD_ID" in environment or find_workspace(stack, environment) is None:
        return None
    return [_localcloud(), "exec", "--", _beside_python("tandem"), *arguments]


def enter_localcloud(stack: str, arguments: Sequence[str]) -> None:
    """Go on inside localcloud, where the stack lives there; else return. Raises OperationError without localcloud."""
    command = command_inside(stack, arguments, os.environ)
    if command is not None:
        try:
            os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
        except OSError as error:
            raise _cannot_run(command[0], error) from None


def _say_file(config_file: Path | None) -> dict[str, str]:
    """For the program's messages, which name the file that a person has to change (settings/load.py)."""
    return {"TANDEM_CONFIG_FILE": str(config_file)} if config_file else {}


def _cannot_run(program: str, error: OSError) -> OperationError:
    return OperationError(f"{program} cannot be run: {error.strerror}\n  look at: may you read this checkout's .venv")


def _localcloud() -> str:
    return _beside_python("localcloud")


def _beside_python(command: str) -> str:
    beside = Path(sys.executable).with_name(command)
    return str(beside) if beside.exists() else command


def _run(command: Sequence[str], environment: Mapping[str, str], *, capture: bool = False) -> str:
    try:
        result = subprocess.run(
            command, env={**os.environ, **environment}, text=True, check=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None, stderr=subprocess.PIPE if capture else None,
        )  # fmt: skip
    except OSError as error:
        raise _cannot_run(command[0], error) from None
    if result.returncode != 0:
        raise EngineError(" ".join(command), result.returncode, result.stderr or "")
    return result.stdout or ""
