"""Copies of the project for tests with the real engine, with the full program or a small one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from operations.cli import find_cli
from operations.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
_COMMAND = ("operations", "provisioning", "tools", "Pulumi.yaml")
PROGRAM = ("__main__.py", "stacks", "settings", "components", "samples")


@dataclass
class Run:
    """The result of a command."""

    code: int
    output: str

    def __contains__(self, text: str) -> bool:
        return text in self.output


@dataclass
class Project:
    """A copy of the project in a directory, with one stack."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    stack: str = "local"

    @classmethod
    def copy(cls, folder: Path, *more: str) -> Self:
        """Copy the files of the `tandem` command and `more` to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*_COMMAND, *more):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(sys.prefix)
        return cls(folder)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / ".tandem" / "default", self.folder)

    def configure(self, config: dict[str, Any]) -> None:
        """Write the stack's settings."""
        (self.folder / "stacks").mkdir(exist_ok=True)
        (self.folder / "stacks" / f"Pulumi.{self.stack}.yaml").write_text(yaml.safe_dump({"config": config}))

    def start(self, *arguments: str, terminal: int | None = None) -> subprocess.Popen[str]:
        """Start `tandem ...` on the stack in a new session, on a terminal or with its output in a pipe."""
        command = [sys.executable, "-m", "operations.main", *arguments, "--stack", self.stack]
        if terminal is not None:
            return self._start(command, {"PYTHONPATH": str(self.folder), "TERM": "xterm-256color"}, terminal)
        return self._start(command, {"PYTHONPATH": str(self.folder), "NO_COLOR": "1"})

    def run(self, *arguments: str) -> Run:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=300)
        return Run(process.returncode, output)

    def succeed(self, *arguments: str) -> str:
        run = self.run(*arguments)
        assert run.code == 0, run.output
        return run.output

    def fail(self, *arguments: str) -> str:
        run = self.run(*arguments)
        assert run.code == 1, run.output
        return run.output

    def pulumi(self, *arguments: str) -> str:
        """Run a `pulumi` command on the same state. Returns its output."""
        environment = self.workspace.prepare_for_pulumi("local")
        cli = str(find_cli(os.environ) / "pulumi")
        process = self._start(
            [cli, "--cwd", str(self.workspace.project), *arguments, "--non-interactive", "--color", "never"],
            environment,
        )
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output

    def state(self) -> dict[str, Any]:
        """Return the exported state: `resources`, `pending_operations`."""
        return json.loads(self.pulumi("stack", "export", "--stack", "local"))["deployment"]

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the resources of the state by name, without the stack and the providers."""
        found = self.state().get("resources") or []
        return {one["urn"].rsplit("::", 1)[1]: one for one in found if not one["type"].startswith("pulumi:p")}

    def _start(
        self, command: list[str], environment: dict[str, str], terminal: int | None = None
    ) -> subprocess.Popen[str]:
        # LOCALCLOUD_NAME, which a minimal system sets, names another directory for the state.
        inherited = {name: value for name, value in os.environ.items() if name != "LOCALCLOUD_NAME"}
        return subprocess.Popen(
            command, cwd=self.folder, text=True, start_new_session=True,
            env={**inherited, **self.environment, **environment, "LOCALCLOUD_ID": "none"},
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal, stderr=subprocess.STDOUT,
        )  # fmt: skip


def descendants(pid: int) -> Iterator[int]:
    """Yield the ids of all descendants of a process."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            child = int(path.parent.name)
            yield child
            yield from descendants(child)


def kill_all(process: subprocess.Popen[str]) -> None:
    """Send SIGKILL to tandem, pulumi and its plugins."""
    for pid in (*descendants(process.pid), process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"condition not met within {timeout_s} s"
        time.sleep(0.02)
