"""A localcloud for the tests, controlled with the commands that users run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from operations.cli import find_cli
from operations.workspace import find_workspace
from tests.end_to_end.release import default_settings

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
T = TypeVar("T")  # Python 3.11 has no type parameter syntax (PEP 695)


class CommandError(AssertionError):
    def __init__(self, command: list[str], result: subprocess.CompletedProcess[str]) -> None:
        super().__init__(f"{' '.join(command)} exited with {result.returncode}\n{result.stdout}\n{result.stderr}")


@dataclass(frozen=True)
class Lab:
    """A localcloud and the stack `local` on it."""

    name: str

    def run(self, *command: str, check: bool = True, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **default_settings(), "LOCALCLOUD_NAME": self.name}
        environment["PATH"] = f"{BIN}:{environment['PATH']}"
        result = subprocess.run(
            command, env=environment, cwd=ROOT, text=True, capture_output=True, check=False, timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and result.returncode != 0:
            raise CommandError(list(command), result)
        return result

    def run_with_input(self, text: str, *command: str) -> str:
        """Run a command that reads a text from stdin and may fail. Returns its output."""
        environment = {**os.environ, "LOCALCLOUD_NAME": self.name, "PATH": f"{BIN}:{os.environ['PATH']}"}
        return subprocess.run(
            command, env=environment, cwd=ROOT, input=text, text=True, capture_output=True, check=False, timeout=120
        ).stdout

    def localcloud(self, *arguments: str, timeout_s: float = 300) -> str:
        return self.run("localcloud", *arguments, timeout_s=timeout_s).stdout

    def operator(self, *command: str, check: bool = True, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command in the operator's network namespace, where `pulumi` runs."""
        return self.run("localcloud", "exec", "--", *command, check=check, timeout_s=timeout_s)

    @contextmanager
    def started(self, *command: str) -> Generator[Iterator[str]]:
        """Run a command that does not end in the operator's namespace. Yields its lines; interrupts it afterwards."""
        environment = {**os.environ, "LOCALCLOUD_NAME": self.name, "PATH": f"{BIN}:{os.environ['PATH']}"}
        with subprocess.Popen(
            ("localcloud", "exec", "--", *command), env=environment, cwd=ROOT, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            killer = threading.Timer(240, os.killpg, (process.pid, signal.SIGKILL))
            killer.start()
            try:
                yield iter(process.stdout)
            finally:
                killer.cancel()
                os.killpg(process.pid, signal.SIGINT)

    def client(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on a client on the emulated internet."""
        return self.run("localcloud", "client", "--", *command, check=check, timeout_s=60)

    def on(self, node: str, script: str, *, check: bool = True) -> str:
        """Run a shell script as root on a node. Returns its output."""
        return self.run("localcloud", "ssh", node, "--", "sh", "-c", script, check=check, timeout_s=60).stdout

    def up(self, *options: str) -> str:
        return self.tandem("up", *options)

    def tandem(self, *arguments: str) -> str:
        """Run an operation on the stack. Returns Pulumi's output."""
        return self.operator("tandem", *arguments, "--stack", "local").stdout

    def urns(self) -> list[str]:
        """Return the URNs of all resources in the stack's state."""
        workspace = find_workspace("local", {"LOCALCLOUD_NAME": self.name})
        assert workspace is not None
        environment = [f"{key}={value}" for key, value in workspace.prepare_for_pulumi("local").items()]
        pulumi = ("env", *environment, str(find_cli(os.environ) / "pulumi"), "--cwd", str(workspace.project))
        shown = self.operator(*pulumi, "stack", "--show-urns", "--stack", "local", "--non-interactive").stdout
        return [word for word in shown.split() if word.startswith("urn:")]

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.run("tandem", "outputs", "--stack", "local", "--json", "--show-secrets").stdout)

    def masters(self, address: str, nodes: list[str]) -> list[str]:
        """Return the names of the nodes that have the virtual IP on an interface."""
        return [name for name in nodes if address in self.on(name, "ip -4 -o addr show scope global")]


@contextmanager
def new_cloud(name: str) -> Generator[Lab]:
    """Start an empty localcloud, without what an earlier run has left, and remove it with its state afterwards."""
    lab = Lab(name)
    state = ROOT / ".tandem" / lab.name
    lab.localcloud("down")
    shutil.rmtree(state, ignore_errors=True)
    lab.localcloud("up", timeout_s=900)
    try:
        yield lab
    finally:
        lab.localcloud("down")
        shutil.rmtree(state, ignore_errors=True)


def wait_until(read: Callable[[], T], accept: Callable[[T], bool], *, deadline_s: float, what: str) -> T:
    """Call `read` until `accept` is true for its result, and return it. Raises: AssertionError after `deadline_s`."""
    deadline = time.monotonic() + deadline_s
    while True:
        result = read()
        if accept(result):
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {deadline_s} s (last result {result!r})")
        time.sleep(0.1)
