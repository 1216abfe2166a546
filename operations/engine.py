"""Pulumi as the `tandem` command drives it: one stack, the program in this process."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pulumi.automation import LocalWorkspace, PulumiCommand, Stack, StackNotFoundError
from pulumi.automation.errors import CommandError

from operations.cli import Shown, TerminalCommand, find_cli
from operations.errors import OperationError
from operations.pending import apply_recovery, plan_recovery, read_pending
from operations.pending_types import Ask
from operations.plugins import OWN_PLUGINS, find_plugins
from operations.program import run_program
from operations.selection import EVERYTHING, Selection
from operations.state_files import release_dead_locks, remove_half_written_files
from operations.workspace import PROJECT_ROOT, find_workspace

Report = Callable[[str], None]


class _Workspace(LocalWorkspace):
    def select_stack(self, stack_name: str) -> None:
        """Check that there is such a stack. Which one `pulumi` takes by default stays the person's choice."""
        self.ask("stack", "--stack", stack_name)

    def ask(self, *words: str) -> str:
        """What a command prints. Raises CommandError."""
        return self.pulumi_command.run([*words], self.work_dir, self.env_vars).stdout


class Engine:
    """One stack."""

    def __init__(self, stack: Stack, workspace: _Workspace) -> None:
        self._stack = stack
        self._workspace = workspace

    def up(self, selection: Selection = EVERYTHING, *, refresh: bool, diff: bool = False) -> None:
        """Deploy. Raises EngineError, after Pulumi has said why."""
        with suppress(Shown):
            self._stack.up(
                refresh=refresh,
                diff=diff,
                target=list(selection.target),
                exclude=list(selection.exclude),
                replace=list(selection.replace),
                target_dependents=selection.target_dependents,
            )

    def preview(self, selection: Selection = EVERYTHING, *, refresh: bool = False) -> None:
        """Show each line that `up` would change. Raises EngineError."""
        with suppress(Shown):
            self._stack.preview(
                refresh=refresh,
                diff=True,
                target=list(selection.target),
                exclude=list(selection.exclude),
                replace=list(selection.replace),
                target_dependents=selection.target_dependents,
            )

    def refresh(self, selection: Selection = EVERYTHING, *, diff: bool = False) -> None:
        """Read back what there is into the state. Raises EngineError."""
        with suppress(Shown):
            self._stack.refresh(target=list(selection.target), exclude=list(selection.exclude), diff=diff)

    def destroy(self, selection: Selection = EVERYTHING) -> None:
        """Delete everything, with the program's hooks. Raises EngineError."""
        with suppress(Shown):
            self._stack.destroy(
                target=list(selection.target), target_dependents=selection.target_dependents, run_program=True
            )

    def recover(self, report: Report) -> None:
        """Import or forget what a killed run was creating.

        Raises OperationError where only a person can tell what to do, and EngineError.
        """
        state = json.loads(self._ask("stack", "export"))
        deployment = state.get("deployment") or {}
        pending = read_pending(deployment)
        if not pending:
            return
        known = frozenset((one["type"], one.get("id", "")) for one in deployment.get("resources") or [])
        recovery = plan_recovery(pending, known, self._connect)
        for urn, id_ in recovery.found.items():
            report(f"An interrupted run may have created {urn}: {id_} is imported.")
        for urn in recovery.absent:
            report(f"An interrupted run was creating {urn}: it does not exist.")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # secrets in it are encrypted
            json.dump({**state, "deployment": apply_recovery(deployment, recovery)}, file)
            file.flush()
            self._ask("stack", "import", "--file", file.name)
        if recovery.found:
            self.refresh(Selection(target=list(recovery.found)))

    def _connect(self) -> Ask:
        from operations.cloud_api import connect  # noqa: PLC0415 - the cloud's SDK is slow, and seldom needed

        config = self._stack.get_all_config()
        settings = {
            key.partition(":")[2]: item.value for key, item in config.items() if key.startswith("tencentcloud:")
        }
        return connect({**os.environ, **settings})

    def cancel(self) -> None:
        """Release the lock of an operation that runs or was killed. Raises OperationError."""
        self._ask("cancel", "--yes")

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        """The stack's exports; empty before the first deployment. Raises OperationError."""
        return json.loads(self._ask("stack", "output", "--json", *(["--show-secrets"] if show_secrets else [])))

    def _ask(self, *words: str) -> str:
        try:
            return self._workspace.ask(*words, "--stack", self._stack.name)
        except CommandError as error:
            raise OperationError(_said(error)) from None


def open_engine(
    stack: str, config_file: Path | None = None, *, ask: bool = False, report: Report | None = None
) -> Engine:
    """A stack that exists, or that lives on localcloud. `config_file` replaces the settings of the latter.

    With `report`, what a killed run has left is cleaned up and reported.
    Raises OperationError where pulumi or the stack is missing.
    """
    here = find_workspace(stack, os.environ)
    command = TerminalCommand(find_cli(os.environ), ask=ask and here is None)
    if here is None:
        return open_stack(stack, PROJECT_ROOT, run_program, command, report=report, create=False)
    if config_file:
        # For the program's messages, which name the file that has to be changed (settings/load.py).
        os.environ["TANDEM_CONFIG_FILE"] = str(config_file)
    environment = here.prepare_for_pulumi(stack, config_file, find_plugins(command.command, os.environ))
    return open_stack(stack, here.project, run_program, command, environment, report=report, create=True)


def open_stack(
    name: str,
    project: Path,
    program: Callable[[], None],
    command: PulumiCommand,
    environment: Mapping[str, str] | None = None,
    *,
    report: Report | None = None,
    create: bool,
) -> Engine:
    """A stack of the project in that directory. Raises OperationError where it is missing."""
    path = os.pathsep.join((os.environ["PATH"], str(OWN_PLUGINS)))
    workspace = _Workspace(
        work_dir=str(project),
        program=program,
        env_vars={**(environment or {}), "PATH": path},
        pulumi_command=command,
    )
    try:
        if report is not None:
            _clean_up(workspace, name, report)
        engine = Engine((Stack.create_or_select if create else Stack.select)(name, workspace), workspace)
    except StackNotFoundError:
        raise OperationError(
            f"there is no stack {name} in the backend that pulumi is logged in to\n"
            f"  create it: {command.command} stack init {name}"
        ) from None
    except CommandError as error:
        raise OperationError(_said(error)) from None
    if report is not None:
        engine.recover(report)
    return engine


def _clean_up(workspace: _Workspace, stack: str, report: Report) -> None:
    """Without this the stack could not be opened after a killed run."""
    backend, project = workspace.who_am_i().url or "", workspace.project_settings().name
    for lock in release_dead_locks(backend, project, stack):
        report(f"Released the state's lock: its owner, process {lock.pid} of {lock.username}, has ended.")
    remove_half_written_files(backend, project, stack)


def _said(error: CommandError) -> str:
    """What pulumi has written to stderr, of an error that holds its exit code and stdout too."""
    return str(error).partition("stderr: ")[2].strip() or str(error)
