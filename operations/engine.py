"""Runs Pulumi operations on one stack, with the Pulumi program in this process."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pulumi.automation import LocalWorkspace, PulumiCommand, Stack, StackNotFoundError
from pulumi.automation.errors import CommandError

from operations.cli import OutputShown, TerminalCommand, find_cli
from operations.cli_errors import describe, describe_missing_stack
from operations.errors import EngineError, OperationError
from operations.failed_creates import FailedCreates
from operations.outputs import read_changed_outputs, to_lines
from operations.plugins import OWN_PLUGINS, find_plugins
from operations.program import check_settings, run_program
from operations.recovery import Recoverer, Report
from operations.selection import EVERYTHING, Selection
from operations.state_files import release_dead_locks, remove_partly_written_files
from operations.workspace import PROJECT_ROOT, find_workspace
from provisioning.cloud_calls import CallApi, connect, has_credentials


class _Workspace(LocalWorkspace):
    exported = ""  # the state in JSON, if selecting the stack has read it

    def select_stack(self, stack_name: str) -> None:
        """Check that the stack exists. Does not change the default stack of the `pulumi` command."""
        self.run("stack", "--stack", stack_name)  # checks the passphrase too

    def run(self, *arguments: str) -> str:
        """Run a command and return its stdout. Raises CommandError."""
        return self.pulumi_command.run([*arguments], self.work_dir, self.env_vars).stdout


class _LocalcloudWorkspace(_Workspace):
    def select_stack(self, stack_name: str) -> None:
        """Read the state. The passphrase was generated, so it needs no check, which would take 0.15 s."""
        self.exported = self.run("stack", "export", "--stack", stack_name)


class Engine:
    """The operations on one stack."""

    def __init__(self, stack: Stack, workspace: _Workspace, failed_creates: Path, report: Report | None) -> None:
        self._stack = stack
        self._workspace = workspace
        self._report = report or _ignore
        self.recoverer = Recoverer(self, FailedCreates(failed_creates), self._report)

    def up(self, selection: Selection = EVERYTHING, *, refresh: bool, diff: bool = False) -> None:
        """Deploy. Raises SettingsRefusedError, or EngineError after Pulumi has printed the reason.

        Imports objects of creates that failed without a clear result. If nothing else failed, the deployment continues.
        """
        check_settings(self._stack.name)
        while True:
            try:
                return self._up(selection, refresh=refresh, diff=diff)
            except EngineError as error:
                failures = error.failures
                if not failures.uncertain or not self.recoverer.recover_failed(failures):
                    raise
                if failures.others or selection.replace:
                    raise
                self._report("All of them exist: continuing the deployment.")

    def _up(self, selection: Selection, *, refresh: bool, diff: bool) -> None:
        try:
            self._stack.up(
                refresh=refresh,
                diff=diff,
                # After a failure Pulumi would show all of them as deleted, although the state keeps them.
                suppress_outputs=True,
                target=list(selection.target),
                exclude=list(selection.exclude),
                replace=list(selection.replace),
                target_dependents=selection.target_dependents,
            )
        except OutputShown as shown:
            if changed := read_changed_outputs(shown.event_log):
                self._report("\n".join(["Outputs:", *(f"  {line}" for line in to_lines(changed)), ""]))

    def preview(self, selection: Selection = EVERYTHING, *, refresh: bool = False) -> None:
        """Show each line that `up` would change. Raises SettingsRefusedError, EngineError."""
        check_settings(self._stack.name)
        with suppress(OutputShown):
            self._stack.preview(
                refresh=refresh,
                diff=True,
                target=list(selection.target),
                exclude=list(selection.exclude),
                replace=list(selection.replace),
                target_dependents=selection.target_dependents,
            )

    def refresh(self, selection: Selection = EVERYTHING, *, diff: bool = False) -> None:
        """Update the state from the actual resources. Raises EngineError."""
        with suppress(OutputShown):
            self._stack.refresh(target=list(selection.target), exclude=list(selection.exclude), diff=diff)

    def destroy(self, selection: Selection = EVERYTHING) -> None:
        """Delete all resources, with the program's hooks. Raises SettingsRefusedError, EngineError."""
        check_settings(self._stack.name)
        with suppress(OutputShown):
            self._stack.destroy(
                target=list(selection.target),
                target_dependents=selection.target_dependents,
                run_program=True,
                suppress_outputs=True,
            )

    def export_state(self) -> dict[str, Any]:
        """Return the state; it has the key `deployment`. Raises OperationError."""
        return _parse_state(self._run("stack", "export"))

    def import_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state. Pulumi drops pending creates. Raises OperationError."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # its secrets are encrypted
            json.dump(state, file)
            file.flush()
            self._run("stack", "import", "--file", file.name)

    def refresh_resources(self, urns: Sequence[str]) -> None:
        """Read these resources into the state. Raises EngineError."""
        self.refresh(Selection(target=urns))

    def connect(self) -> CallApi:
        """Return a function that calls the API. Raises OperationError."""
        return connect(self.cloud_settings())

    def cloud_settings(self) -> dict[str, str]:
        """The environment, and the stack's `tencentcloud:*` settings."""
        config = self._stack.get_all_config()
        settings = {
            key.partition(":")[2]: item.value for key, item in config.items() if key.startswith("tencentcloud:")
        }
        return {**os.environ, **settings}

    def cancel(self) -> None:
        """Release the lock of the stack. Raises OperationError."""
        self._run("cancel", "--yes")

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        """The outputs of the stack; empty before the first deployment. Raises OperationError."""
        return json.loads(self._run("stack", "output", "--json", *(["--show-secrets"] if show_secrets else [])))

    def deployment(self) -> dict[str, Any]:
        """The recorded state with its secrets; empty before the first deployment. Raises OperationError."""
        return json.loads(self._run("stack", "export", "--show-secrets")).get("deployment") or {}

    def history(self) -> list[dict[str, Any]]:
        """The last operations on the stack, the newest first. Raises OperationError."""
        return json.loads(self._run("stack", "history", "--json", "--page-size", "10", "--page", "1"))

    def plugins(self) -> list[dict[str, Any]]:
        """The installed plugins: name, kind, version. Raises OperationError."""
        try:
            return json.loads(self._workspace.run("plugin", "ls", "--json"))
        except CommandError as error:
            raise OperationError(describe(error)) from None

    def call_api(self) -> CallApi | None:
        """A function that calls the cloud's API, or None if no credentials are at hand."""
        return self.connect() if has_credentials(self.cloud_settings()) else None

    def _run(self, *arguments: str) -> str:
        try:
            return self._workspace.run(*arguments, "--stack", self._stack.name)
        except CommandError as error:
            raise OperationError(describe(error)) from None


def _parse_state(text: str) -> dict[str, Any]:
    state = json.loads(text)
    return {**state, "deployment": state.get("deployment") or {}}


def _ignore(text: str) -> None:
    del text


def open_engine(
    stack: str,
    config_file: Path | None = None,
    *,
    ask: bool = False,
    report: Report | None = None,
    events: list[str] | None = None,
) -> Engine:
    """Open an existing stack, or one on localcloud, which is created if it does not exist.

    `config_file` replaces the settings of a stack on localcloud. With `report`, the remains of an interrupted run are
    cleaned up and reported. `events` collects the event log of the engine (operations/cli.py). Raises OperationError if
    pulumi or the stack is missing.
    """
    local = find_workspace(stack, os.environ)
    command = TerminalCommand(find_cli(os.environ), ask=ask and local is None, events=events)
    if local is None:
        failed_creates = PROJECT_ROOT / ".tandem" / f"failed-creates-{stack}.json"
        return open_stack(
            stack, PROJECT_ROOT, run_program, command, failed_creates=failed_creates, report=report, create=False
        )
    if config_file:
        # For messages of the program, which name the settings file (settings/load.py).
        os.environ["TANDEM_CONFIG_FILE"] = str(config_file)
    # Pulumi prefers it to the generated passphrase, but it is the one of other stacks.
    os.environ.pop("PULUMI_CONFIG_PASSPHRASE", None)
    environment = local.prepare_for_pulumi(stack, config_file, find_plugins(command.command, os.environ))
    failed_creates = local.directory / "failed-creates.json"
    return open_stack(
        stack,
        local.project,
        run_program,
        command,
        environment,
        failed_creates=failed_creates,
        report=report,
        create=True,
    )


def open_stack(
    name: str,
    project: Path,
    program: Callable[[], None],
    command: PulumiCommand,
    environment: Mapping[str, str] | None = None,
    *,
    failed_creates: Path,
    report: Report | None = None,
    create: bool,
) -> Engine:
    """Open a stack of the project in a directory. Raises OperationError if it does not exist."""
    path = os.pathsep.join((os.environ["PATH"], str(OWN_PLUGINS)))
    # Stacks are only created on localcloud.
    workspace = (_LocalcloudWorkspace if create else _Workspace)(
        work_dir=str(project),
        program=program,
        env_vars={**(environment or {}), "PATH": path},
        pulumi_command=command,
    )
    try:
        if report is not None:
            _clean_up(workspace, name, report)
        found = (Stack.create_or_select if create else Stack.select)(name, workspace)
    except StackNotFoundError:
        raise OperationError(describe_missing_stack(name, PROJECT_ROOT / "stacks", command.command)) from None
    except CommandError as error:
        raise OperationError(describe(error)) from None
    engine = Engine(found, workspace, failed_creates, report)
    if report is not None:
        engine.recoverer.recover_interrupted(_parse_state(workspace.exported) if workspace.exported else None)
    return engine


def _clean_up(workspace: _Workspace, stack: str, report: Report) -> None:
    """Remove the lock and the partly written files of a killed run, which would prevent opening the stack."""
    # For a stack on localcloud the backend is known; asking pulumi for it takes 0.1 s.
    backend = workspace.env_vars.get("PULUMI_BACKEND_URL") or workspace.who_am_i().url or ""
    project = workspace.project_settings().name
    for lock in release_dead_locks(backend, project, stack):
        report(f"Released the state's lock: its owner, process {lock.pid} of {lock.username}, has ended.")
    remove_partly_written_files(backend, project, stack)
