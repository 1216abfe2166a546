"""Which `pulumi` command runs: the one on the PATH, or the one that scripts/pulumi has built."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pulumi.automation import CommandResult, OnOutput, PulumiCommand
from semver import VersionInfo

from operations.errors import EngineError, OperationError
from operations.workspace import PROJECT_ROOT

# Versions are compared as scripts/pulumi compares them.
OLDEST = (3, 272, 0)
# What takes long enough to be watched, and may ask.
_SHOWN = {"up", "preview", "refresh", "destroy"}
_ANSWERS = {"--yes", "--skip-preview"}


def find_cli(environment: Mapping[str, str]) -> Path:
    """The directory of the pulumi command to run. Raises OperationError where there is none."""
    on_path = shutil.which("pulumi", path=environment.get("PATH"))
    if on_path and read_version(on_path) >= OLDEST:
        return Path(on_path).parent
    built = _cache(environment) / _pinned_version() / "pulumi"
    if built.exists():
        return built.parent
    found = f"{on_path} is too old" if on_path else "there is none on the PATH"
    raise OperationError(
        f"the pulumi command, version {'.'.join(map(str, OLDEST))} or later, is needed: {found}.\n"
        "  Install it: https://www.pulumi.com/docs/install/, or have it built (some minutes): scripts/pulumi"
    )


def read_version(command: str) -> tuple[int, ...]:
    """The version that a pulumi command reports; (0,) for one that cannot be run."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        said = subprocess.run([command, "version"], env=environment, text=True, capture_output=True, check=False).stdout
    except OSError:
        return (0,)
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0,)


def _cache(environment: Mapping[str, str]) -> Path:
    home = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "/"), ".cache")
    return Path(home, "tandem", "pulumi")


def _pinned_version() -> str:
    module = (PROJECT_ROOT / "tools" / "pulumi" / "go.mod").read_text()
    return module.partition("require github.com/pulumi/pulumi/pkg/v3 ")[2].split()[0]


class Shown(Exception):  # noqa: N818 - a way out, not an error
    """Raised when a command has been shown to its end: pulumi.automation would now read the stack's outputs and its
    history, three more commands whose results nothing needs.
    """


class TerminalCommand(PulumiCommand):
    """The pulumi command on this process's own terminal: Pulumi's live display, its questions, its colours.

    pulumi.automation itself runs everything through pipes, which leaves plain lines (docs/adr/0016).
    """

    def __init__(self, directory: Path, *, ask: bool) -> None:
        self.command = str(directory / "pulumi")
        self.version = VersionInfo(*read_version(self.command))
        self._ask = ask
        self._terminal = sys.stdin.isatty() and sys.stdout.isatty()

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run one command. Raises CommandError; for a command whose output was shown, Shown or EngineError."""
        if args[0] not in _SHOWN:
            return super().run(args, cwd, additional_env, on_output, on_error)
        words = [word for word in args if not (self._ask and word in _ANSWERS)]
        if not self._terminal:
            words.insert(0, "--non-interactive")
        path = os.pathsep.join((str(Path(self.command).parent), additional_env.get("PATH") or os.environ["PATH"]))
        environment = {**os.environ, **additional_env, "PATH": path}
        code = _run_in_foreground([self.command, *words], cwd, environment)
        if code != 0:
            raise EngineError(f"pulumi {args[0]}", code)
        raise Shown


def _run_in_foreground(command: Sequence[str], directory: str, environment: Mapping[str, str]) -> int:
    """Run it until it ends. What interrupts or ends this process is the command's to answer: it finishes its steps."""
    sys.stdout.flush()
    process = subprocess.Popen(command, cwd=directory, env=environment)

    def interrupt(number: int, _frame: object) -> None:
        if number != signal.SIGINT:  # that one the terminal has sent to the command too
            process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
