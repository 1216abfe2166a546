"""The whole program, deployed on an API without instances behind it.

The boundary to nodes (rollout, host keys, health) is replaced by boundary/*.py.
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


class WholeProject(Project):
    """A copy of the project whose settings are those of stack `local`, with some of them changed for one command."""

    cloud: Cloud  # that it is deployed on

    def run(self, *words: str, changes: dict[str, Any] | None = None) -> Run:
        """`tandem ...` with those settings, e.g. {"virtualIp.address": "10.0.4.98"}."""
        self.configure(settings(changes or {}))
        return super().run(*words)

    def start_with(self, word: str, changes: dict[str, Any]) -> subprocess.Popen[str]:
        self.configure(settings(changes))
        return self.start(word)

    def succeed(self, *words: str, changes: dict[str, Any] | None = None) -> str:
        run = self.run(*words, changes=changes)
        assert run.code == 0, run.output[-6000:]
        return run.output

    def fail(self, *words: str, changes: dict[str, Any] | None = None) -> str:
        run = self.run(*words, changes=changes)
        assert run.code == 1, run.output[-6000:]
        return run.output

    def records(self) -> dict[str, Any]:
        """The id of everything, and when it was changed last, by URN."""
        return {each["urn"]: (each.get("id"), each.get("modified")) for each in self.state().get("resources") or []}

    def objects(self) -> set[str]:
        """The ids of all that is something in the infrastructure: components and providers are not."""
        return {id_ for urn, (id_, _) in self.records().items() if id_ and "pulumi:providers:" not in urn}

    def asked(self) -> list[str]:
        """What was asked of nodes since the last time, in order."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@contextmanager
def whole_project(folder: Path) -> Generator[WholeProject]:
    """The project, and a cloud for it."""
    project = WholeProject.copy(folder / "project", *PROGRAM)
    for stand_in in _BOUNDARY.glob("*.py"):
        module = project.folder / "provisioning" / stand_in.name
        # What the stand-in defines again is its own; `tandem` needs the rest.
        module.write_text(module.read_text() + stand_in.read_text().replace("from __future__ import annotations\n", ""))
    with running_cloud(folder) as cloud:
        project.environment = _environment(cloud, folder)
        project.cloud = cloud
        yield project


def _environment(cloud: Cloud, folder: Path) -> dict[str, str]:
    """What leads the provider plugins to the cloud: localcloud's, or the real ones where they are on the PATH."""
    environment = cloud.environment
    if shutil.which("pulumi-resource-tencentcloud"):
        # The real one puts a service's name before the domain. A proxy needs no address for these names.
        real = {"TENCENTCLOUD_DOMAIN": "localcloud.test", "HTTP_PROXY": f"http://{cloud.address}", "NO_PROXY": ""}
        environment = {**environment, **real}
    plugins = with_plugins({**environment, "PATH": os.environ["PATH"]}, folder / "plugins")
    return {**environment, "LOCALCLOUD_PLUGINS": plugins["LOCALCLOUD_PLUGINS"]}


def settings(changes: dict[str, Any]) -> dict[str, Any]:
    """Those of stack `local`, but for some values: {"nodes.members.1.address": ..., "nginx": {...}}."""
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
