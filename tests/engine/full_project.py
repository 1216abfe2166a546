"""The full program, deployed on an API without instances.

boundary/*.py replaces the boundary to nodes (rollout, switchover, host keys, health).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from localcloud.providers.plugins import with_plugins
from tests.engine.project import PROGRAM, ROOT, Project, Run
from tests.localcloud.providers.cloud import Cloud, running_cloud

_BOUNDARY = Path(__file__).parent / "boundary"


class FullProject(Project):
    """A copy of the project with the settings of stack `local`. A command may change some of them."""

    cloud: Cloud

    def run(self, *arguments: str, changes: dict[str, Any] | None = None) -> Run:
        """Run `tandem ...` with changed settings, for example {"virtualIp.address": "10.0.4.98"}."""
        self.configure(settings(changes or {}))
        return super().run(*arguments)

    def start_with(self, command: str, changes: dict[str, Any]) -> subprocess.Popen[str]:
        self.configure(settings(changes))
        return self.start(command)

    def succeed(self, *arguments: str, changes: dict[str, Any] | None = None) -> str:
        run = self.run(*arguments, changes=changes)
        assert run.code == 0, run.output[-6000:]
        return run.output

    def fail(self, *arguments: str, changes: dict[str, Any] | None = None) -> str:
        run = self.run(*arguments, changes=changes)
        assert run.code == 1, run.output[-6000:]
        return run.output

    def records(self) -> dict[str, Any]:
        """Return the id and the last modification time of all resources, by URN."""
        return {each["urn"]: (each.get("id"), each.get("modified")) for each in self.state().get("resources") or []}

    def objects(self) -> set[str]:
        """Return the ids of all resources without components and providers."""
        return {id_ for urn, (id_, _) in self.records().items() if id_ and "pulumi:providers:" not in urn}

    def asked(self) -> list[str]:
        """Return the node operations since the last call, in order."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@contextmanager
def full_project(folder: Path) -> Generator[FullProject]:
    """Yield a project with a cloud to deploy it on."""
    project = FullProject.copy(folder / "project", *PROGRAM)
    for stand_in in _BOUNDARY.rglob("*.py"):
        module = project.folder / "provisioning" / stand_in.relative_to(_BOUNDARY)
        # The definitions of the stand-in replace those of the module; `tandem` needs the rest of the module.
        module.write_text(module.read_text() + stand_in.read_text().replace("from __future__ import annotations\n", ""))
    with running_cloud(folder) as cloud:
        project.environment = _environment(cloud, folder)
        project.cloud = cloud
        yield project


def _environment(cloud: Cloud, folder: Path) -> dict[str, str]:
    """Return the variables that point the provider plugins (real ones if on the PATH, or localcloud's) to the cloud."""
    environment = cloud.environment
    if shutil.which("pulumi-resource-tencentcloud"):
        # The real plugin prepends the service name to the domain. With a proxy, these names need no DNS entries.
        real = {"TENCENTCLOUD_DOMAIN": "localcloud.test", "HTTP_PROXY": f"http://{cloud.address}", "NO_PROXY": ""}
        environment = {**environment, **real}
    plugins = with_plugins({**environment, "PATH": os.environ["PATH"]}, folder / "plugins")
    return {**environment, "LOCALCLOUD_PLUGINS": plugins["LOCALCLOUD_PLUGINS"]}


def settings(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of stack `local` with changes: {"nodes.members.1.address": ..., "nginx": {...}}."""
    config = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text())["config"]
    for path, value in changes.items():
        first, *inner = path.split(".")
        place: Any = config
        last: str | int = f"tandem:{first}"
        for key in inner:
            place = place.setdefault(last, {}) if isinstance(place, dict) else place[last]
            last = int(key) if key.isdigit() else key
        place[last] = value
    return config


def nothing_to_do(text: str) -> bool:
    return re.search(r"\nResources:\n    \d+ unchanged\n", text) is not None
