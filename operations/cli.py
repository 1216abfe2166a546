"""Finds and runs the `pulumi` command: from the PATH, or as built by scripts/pulumi."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pulumi.automation import CommandResult, OnOutput, PulumiCommand
from semver import VersionInfo

from operations.errors import EngineError, OperationError
from operations.failures import read_failures
from operations.workspace import PROJECT_ROOT

# The same minimum version as in scripts/pulumi.
OLDEST = (3, 272, 0)
# Commands that need the terminal, for progress output and confirmation prompts.
_INTERACTIVE = {"up", "preview", "refresh", "destroy"}
_CONFIRMATIONS = {"--yes", "--skip-preview"}


def find_cli(environment: Mapping[str, str]) -> Path:
    """The directory of the pulumi command to run. Raises OperationError if there is none."""
    on_path = shutil.which("pulumi", path=environment.get("PATH"))
    if on_path and read_version(on_path) >= OLDEST:
        return Path(on_path).parent
    built = _cache(environment) / _pinned_version() / "pulumi"
    if built.exists():
        return built.parent
    found = f"{on_path} is too old" if on_path else "there is none on the PATH"
    raise OperationError(
        f"the pulumi command, version {'.'.join(map(str, OLDEST))} or later, is required: {found}.\n"
        "  Install it: https://www.pulumi.com/docs/install/, or build it (takes some minutes): scripts/pulumi"
    )


@functools.cache
def read_version(command: str) -> tuple[int, ...]:
    """The version of a pulumi command; (0,) if it cannot be run."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        process = subprocess.run([command, "version"], env=environment, text=True, capture_output=True, check=False)
    except OSError:
        return (0,)
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", process.stdout)
    return tuple(map(int, found.groups())) if found else (0,)


def _cache(environment: Mapping[str, str]) -> Path:
    home = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "/"), ".cache")
    return Path(home, "tandem", "pulumi")


def _pinned_version() -> str:
    module = (PROJECT_ROOT / "tools" / "pulumi" / "go.mod").read_text()
    return module.partition("require github.com/pulumi/pulumi/pkg/v3 ")[2].split()[0]


class OutputShown(Exception):  # noqa: N818 - ends a call early, is not an error
    """Raised after a command that ran on the terminal has succeeded.

    Without it pulumi.automation would run three more commands to read the stack's outputs and history, which are not
    needed.
    """

    def __init__(self, event_log: Sequence[str]) -> None:
        super().__init__()
        self.event_log = event_log


class TerminalCommand(PulumiCommand):
    """Runs the pulumi command on the terminal of this process, with live display, prompts and colours.

    pulumi.automation uses pipes, so it prints plain lines only (docs/adr/0016).
    """

    def __init__(self, directory: Path, *, ask: bool, events: list[str] | None = None) -> None:
        """With `events`, the lines of the event log are added to the list, and stdout is not shown."""
        self.command = str(directory / "pulumi")
        self.version = VersionInfo(*read_version(self.command))
        self._ask = ask
        self._events = events
        self._terminal = sys.stdin.isatty() and sys.stdout.isatty()

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run one command.

        Raises:
            CommandError: a command without terminal output failed.
            OutputShown, EngineError: a command on the terminal succeeded or failed.
        """
        if args[0] not in _INTERACTIVE:
            return super().run(args, cwd, additional_env, on_output, on_error)
        with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace", suffix=".jsonl") as event_log:
            arguments = [*_without_event_log(args), "--event-log", event_log.name]
            code, interrupted = self._run_on_terminal(arguments, cwd, additional_env)
            events = event_log.readlines()
            if self._events is not None:
                self._events += events
            if code != 0:
                raise EngineError(f"pulumi {args[0]}", code, read_failures(events, interrupted=interrupted))
        raise OutputShown(events)

    def _run_on_terminal(self, args: list[str], cwd: str, additional_env: Mapping[str, str]) -> tuple[int, bool]:
        arguments = [argument for argument in args if not (self._ask and argument in _CONFIRMATIONS)]
        if not self._terminal or self._events is not None:
            arguments.insert(0, "--non-interactive")
        path = os.pathsep.join((str(Path(self.command).parent), additional_env.get("PATH") or os.environ["PATH"]))
        environment = {**os.environ, **additional_env, "PATH": path}
        output = subprocess.DEVNULL if self._events is not None else None
        return _run_in_foreground([self.command, *arguments], cwd, environment, output)


def _without_event_log(args: Sequence[str]) -> list[str]:
    """For a preview, pulumi.automation names a server of its own, which counts the changes and nothing else."""
    position = args.index("--event-log") if "--event-log" in args else len(args)
    return [*args[:position], *args[position + 2 :]]


def _run_in_foreground(
    command: Sequence[str], directory: str, environment: Mapping[str, str], output: int | None
) -> tuple[int, bool]:
    """Run a command until it ends. Returns its exit code, and whether it was interrupted.

    Signals are left to the command, which finishes its current steps.
    """
    interrupted = False
    sys.stdout.flush()
    process = subprocess.Popen(command, cwd=directory, env=environment, stdout=output)

    def interrupt(number: int, _frame: object) -> None:
        nonlocal interrupted
        interrupted = True
        if number != signal.SIGINT:  # the terminal has sent SIGINT to the command too
            process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return process.wait(), interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
