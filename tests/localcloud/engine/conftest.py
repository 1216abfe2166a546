"""Small Pulumi projects, run by the engine in a process of its own, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[3]

# What most programs here are made of: a dynamic resource that writes what it does, and when, into calls.log.
_RECORDER = '''
import asyncio, json, os, time
import pulumi
from pulumi import Output, ResourceHook, ResourceHookBinding, ResourceHookOptions, ResourceOptions
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

config = pulumi.Config()

def log(*words):
    with open(LOG, "a") as file:
        file.write(json.dumps([time.time(), *words]) + "\\n")

class Recorder(ResourceProvider):
    """Inputs: `value`; `sleep` seconds in create; `fail` names the operations that fail; `fixed` forces replacement."""

    def _do(self, operation, props):
        log("begin", operation, props["label"])
        time.sleep(props.get("sleep") or 0)
        if operation in (props.get("fail") or ()):
            raise RuntimeError(f"{operation} of {props['label']} went wrong")
        log("end", operation, props["label"])

    def create(self, props):
        self._do("create", props)
        made = {**props, "result": f"made of {props.get('value')}"}
        return CreateResult(f"id-{props['label']}-{time.time_ns()}", made)

    def diff(self, id, olds, news):
        keys = {key for key in {*olds, *news} - {"result", "__provider"} if olds.get(key) != news.get(key)}
        return DiffResult(changes=bool(keys), replaces=sorted(keys & {"fixed"}),
                          delete_before_replace=bool(news.get("first")))

    def update(self, id, olds, news):
        self._do("update", news)
        return UpdateResult({**news, "result": f"made of {news.get('value')}"})

    def delete(self, id, props):
        self._do("delete", props)

class Thing(Resource):
    result: Output[str]

    def __init__(self, name, opts=None, **props):
        super().__init__(Recorder(), name, {"label": name, "result": None, **props}, opts)
'''


@dataclass
class Run:
    """One command's end."""

    code: int
    output: str

    def __contains__(self, text: str) -> bool:
        return text in self.output


@dataclass
class Project:
    """A Pulumi project in a directory, with its state beside it."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.path / "calls.log"

    def write(self, program: str, *, config: str = "", recorder: bool = True) -> None:
        """The program, with the recorder before it; `config` is the `config:` mapping as YAML."""
        (self.path / "Pulumi.yaml").write_text("name: little\nruntime: python\n")
        (self.path / "Pulumi.dev.yaml").write_text("config:\n" + textwrap.indent(textwrap.dedent(config), "  "))
        head = f"LOG = {str(self.log)!r}\n{_RECORDER}" if recorder else ""
        (self.path / "__main__.py").write_text(head + textwrap.dedent(program))

    def command(self, *arguments: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "localcloud.commands.engine",
            *arguments,
            "--stack",
            "dev",
            "--cwd",
            str(self.path),
        ]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "NO_COLOR": "1", **self.environment},
        )

    def run(self, *arguments: str) -> Run:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=120)
        return Run(process.returncode, output)

    def up(self) -> Run:
        """`up` that must succeed."""
        run = self.run("up", "--yes")
        assert run.code == 0, run.output
        return run

    def destroy(self) -> Run:
        run = self.run("destroy", "--yes")
        assert run.code == 0, run.output
        return run

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        run = self.run("output", "--json", *(["--show-secrets"] if show_secrets else []))
        assert run.code == 0, run.output
        return json.loads(run.output)

    @property
    def state_file(self) -> Path:
        return self.path / ".tandem" / "engine" / "dev.json"

    def state(self) -> dict[str, Any]:
        return json.loads(self.state_file.read_text())

    def resources(self) -> dict[str, dict[str, Any]]:
        """By name, save the stack itself."""
        found = {one["urn"].rsplit("::", 1)[1]: one for one in self.state()["resources"]}
        found.pop("little-dev", None)
        return found

    def calls(self) -> list[list[str]]:
        """What the recorder did, in order: ["begin", "create", "a"] ..."""
        return [entry[1:] for entry in self._entries()]

    def done(self) -> list[str]:
        """`create a`, `delete b` ... in the order in which they ended."""
        return [f"{operation} {label}" for kind, operation, label, *_ in self.calls() if kind == "end"]

    def times(self) -> dict[str, float]:
        return {" ".join(entry[1:4]): entry[0] for entry in self._entries()}

    def _entries(self) -> list[Any]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def forget_calls(self) -> None:
        self.log.unlink(missing_ok=True)

    def wait_for_call(self, *call: str) -> None:
        wait_until(lambda: list(call) in [entry[: len(call)] for entry in self.calls()])


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
