"""Small Pulumi projects, run by the real engine with provider plugins on the PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.providers.plugins import PLUGINS, with_plugins
from operations.cli import find_cli

_DRIVER = Path(__file__).with_name("driver.py")
_ENGINE_ENVIRONMENT = {
    "PULUMI_CONFIG_PASSPHRASE": "open sesame",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
}


@dataclass(frozen=True)
class Step:
    """An operation of the engine on one resource."""

    operation: str  # same, create, update, replace, delete ...
    changed: tuple[str, ...] = ()  # top-level properties
    differences: Mapping[str, str] = field(default_factory=dict[str, str])  # path -> add, update-replace ...


@dataclass(frozen=True)
class Run:
    """The result of one command."""

    failure: str  # the error output of Pulumi; empty on success
    changes: Mapping[str, int]  # number of resources by operation: create, update, same ...
    all_steps: Sequence[tuple[str, Step]] = ()  # with the resource name, in order

    @property
    def steps(self) -> Mapping[str, Step]:
        """The last step of each resource."""
        return dict(self.all_steps)


class Project:
    """A program with its configuration and state. It uses the plugins of localcloud, or those on the PATH."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        stand_ins: Sequence[str] = PLUGINS,
        launcher: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.environment = {**_ENGINE_ENVIRONMENT, **environment}
        self._stand_ins = stand_ins
        self._launcher = launcher
        self._program = ""
        self._config: dict[str, str] = {}
        self._driver: subprocess.Popen[str] | None = None

    def write(self, program: str, **config: str) -> None:
        self._program, self._config = textwrap.dedent(program), config

    def up(self) -> Run:
        """Run `up`, which must succeed."""
        return _successful(self.try_up())

    def try_up(self) -> Run:
        return self._run("up")

    def preview(self) -> Run:
        return _successful(self._run("preview"))

    def refresh(self) -> Run:
        return _successful(self._run("refresh"))

    def destroy(self) -> Run:
        return _successful(self._run("destroy"))

    def outputs(self) -> dict[str, Any]:
        return self._ask("outputs")

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the resources of providers by name; secrets are encrypted."""
        found = (self._ask("export") or {}).get("resources", ())
        return {one["urn"].rsplit("::", 1)[1]: one for one in found if not one["type"].startswith("pulumi:")}

    def close(self) -> None:
        if self._driver is not None:
            self._driver.communicate()
            self._driver = None

    def _run(self, command: str) -> Run:
        answer = self._ask(command)
        steps = [
            (one["name"], Step(one["operation"], tuple(one["changed"]), one["differences"])) for one in answer["steps"]
        ]
        return Run(answer["failure"], answer["changes"], steps)

    def _ask(self, command: str) -> Any:
        self.directory.mkdir(exist_ok=True)
        if self._driver is None:
            self._driver = subprocess.Popen(
                [*self._launcher, sys.executable, str(_DRIVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self._complete_environment(),
            )
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        request = {
            "command": command,
            "directory": str(self.directory),
            "environment": self._complete_environment(),
            "program": self._program,
            "config": self._config,
        }
        self._driver.stdin.write(json.dumps(request) + "\n")
        self._driver.stdin.flush()
        return json.loads(self._driver.stdout.readline())

    def _complete_environment(self) -> dict[str, str]:
        path = f"{find_cli(os.environ)}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, **self.environment, "PATH": path}
        return with_plugins(environment, self.directory / "plugins", self._stand_ins)


def _successful(run: Run) -> Run:
    assert not run.failure, run.failure
    return run
