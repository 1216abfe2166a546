"""Small Pulumi projects, run by the real engine with provider plugins on the PATH."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi import automation

from localcloud.providers.plugins import with_plugins

_ENGINE_ENVIRONMENT = {
    "PULUMI_CONFIG_PASSPHRASE": "open sesame",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
}


@dataclass(frozen=True)
class Step:
    """What the engine does with one resource."""

    operation: str  # same, create, update, replace, delete ...
    differences: Mapping[str, str] = field(default_factory=dict)  # path -> add, update-replace ...


@dataclass(frozen=True)
class Run:
    """One command's end."""

    failure: str  # what Pulumi said; empty when it succeeded
    changes: Mapping[str, int]  # how many resources were created, updated, left the same ...
    steps: Mapping[str, Step]  # by resource name


class Project:
    """A program, its configuration and its state."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = {**_ENGINE_ENVIRONMENT, **environment}
        self._program = ""
        self._config: dict[str, str] = {}

    def write(self, program: str, **config: str) -> None:
        self._program, self._config = textwrap.dedent(program), config

    def up(self) -> Run:
        """`up` that must succeed."""
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
        return {name: "[secret]" if one.secret else one.value for name, one in self._stack().outputs().items()}

    def resources(self) -> dict[str, dict[str, Any]]:
        """Those of providers, by name; secrets are encrypted."""
        deployment = self._stack().export_stack().deployment or {}
        return {
            one["urn"].rsplit("::", 1)[1]: one
            for one in deployment.get("resources", ())
            if not one["type"].startswith("pulumi:")
        }

    def _run(self, command: str) -> Run:
        stack = self._stack()
        events: list[automation.EngineEvent] = []
        failure, written = "", []
        try:
            getattr(stack, command)(on_event=events.append, on_output=written.append)
        except automation.CommandError:
            failure = "".join(written)
        summary = next((one.summary_event for one in events if one.summary_event), None)
        changes = {str(operation): count for operation, count in (summary.resource_changes if summary else {}).items()}
        return Run(failure, changes, dict(_steps(events)))

    def _stack(self) -> automation.Stack:
        self.directory.mkdir(exist_ok=True)
        settings = automation.ProjectSettings(
            "little", "python", backend=automation.ProjectBackend(f"file://{self.directory}")
        )
        stack = automation.create_or_select_stack(
            "dev",
            "little",
            program=self._execute,
            opts=automation.LocalWorkspaceOptions(
                work_dir=str(self.directory),
                project_settings=settings,
                env_vars=with_plugins({**os.environ, **self.environment}, self.directory / "plugins"),
                pulumi_home=str(self.directory / "home"),
            ),
        )
        stack.set_all_config({name: automation.ConfigValue(value) for name, value in self._config.items()})
        return stack

    def _execute(self) -> None:
        exec(compile(self._program, "program", "exec"), {})  # noqa: S102 - the test's own program


def _successful(run: Run) -> Run:
    assert not run.failure, run.failure
    return run


def _steps(events: list[automation.EngineEvent]) -> Any:
    for event in events:
        if event.resource_pre_event:
            metadata = event.resource_pre_event.metadata
            differences = {
                path: str(getattr(one.diff_kind, "value", one.diff_kind))
                for path, one in (metadata.detailed_diff or {}).items()
            }
            yield metadata.urn.rsplit("::", 1)[1], Step(str(getattr(metadata.op, "value", metadata.op)), differences)
