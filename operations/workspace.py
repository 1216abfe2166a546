"""The Pulumi workspace of a stack on localcloud, below .tandem/.

Pulumi writes an encryption salt into the stack's file (`pulumi stack init`), and its local backend needs a directory
and a passphrase. For localcloud these are generated. `pulumi` works on copies of the project and the stack's file, so
`git status` stays clean.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from operations.errors import OperationError
from operations.files import write_file
from settings import yaml_files

PROJECT_ROOT = Path(__file__).resolve().parent.parent
LOCAL_STACK = "local"
_SALT = "encryptionsalt"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The files of one localcloud below .tandem/. `make down` removes `directory`."""

    directory: Path
    program: Path  # contains Pulumi.yaml and __main__.py
    config_file: Path | None = None  # the settings to use instead of the stack's (TANDEM_CONFIG_FILE)

    @property
    def project(self) -> Path:
        return self.directory / "project"

    @property
    def passphrase_file(self) -> Path:
        return self.directory / "passphrase"

    @property
    def backend(self) -> Path:
        return self.directory / "pulumi"

    def prepare_for_pulumi(
        self, stack: str, config_file: Path | None = None, plugins: Mapping[str, Path] | None = None
    ) -> dict[str, str]:
        """Write the copies that `pulumi` works on and return the environment that it needs. Idempotent.

        `plugins` are the directories of provider plugins that are not installed, by name.
        """
        self.backend.mkdir(parents=True, exist_ok=True)
        (self.project / "stacks").mkdir(parents=True, exist_ok=True)
        if not self.passphrase_file.exists():
            write_file(self.passphrase_file, secrets.token_urlsafe(24), mode=0o600)
        project = _read(self.program / "Pulumi.yaml")
        copy = self.project / "stacks" / f"Pulumi.{stack}.yaml"
        own = self.program / str(project.get("stackConfigDir", ".")) / copy.name
        settings = _read(config_file or self.config_file or own)
        if "secure" not in str(settings.get("config")):
            # `pulumi stack init` leaves the salt of another passphrase. Only encrypted settings need it.
            settings.pop(_SALT, None)
        if copy.exists() and (salt := _read(copy).get(_SALT)):
            settings.setdefault(_SALT, salt)
        project["stackConfigDir"] = "stacks"
        project["main"] = os.path.relpath(self.program, self.project)
        project["runtime"] = {"name": "python", "options": {"virtualenv": str(self.program / ".venv")}}
        if plugins:
            # If they were on the PATH only, Pulumi would print a warning for each at each run.
            project["plugins"] = {"providers": [{"name": name, "path": str(path)} for name, path in plugins.items()]}
        # The only place of the stack's salt is the copy, so a killed writer must not leave half of it.
        for file, content in ((self.project / "Pulumi.yaml", project), (copy, settings)):
            write_file(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        return {
            # No sidecars, which are not replaced atomically (state_files.py).
            "PULUMI_BACKEND_URL": f"{self.backend.as_uri()}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase_file),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # Otherwise each run spends seconds searching the internet for plugins.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }


def find_config_file(stack: str, environment: Mapping[str, str]) -> Path | None:
    """The settings to use instead of the stack's. For a stack on Tencent Cloud, Pulumi reads those of the stack."""
    given = environment.get("TANDEM_CONFIG_FILE")
    is_local = stack == LOCAL_STACK or "LOCALCLOUD_NAME" in environment
    return Path(given) if given and is_local else None


def find_workspace(stack: str, environment: Mapping[str, str]) -> Workspace | None:
    """The workspace of a stack on localcloud, or None for a stack on Tencent Cloud.

    `localcloud exec` sets LOCALCLOUD_NAME, which identifies one of several localclouds.
    """
    name = environment.get("LOCALCLOUD_NAME")
    if name is None and stack != LOCAL_STACK:
        return None
    workspace = Workspace(
        PROJECT_ROOT / ".tandem" / (name or "default"), PROJECT_ROOT, config_file=find_config_file(stack, environment)
    )
    if cloud_id := environment.get("LOCALCLOUD_ID"):
        move_away_state_of_another_cloud(workspace.directory, cloud_id)
    return workspace


def move_away_state_of_another_cloud(directory: Path, cloud_id: str) -> None:
    """Start with an empty state if the current one describes a localcloud that no longer exists.

    After `localcloud down` and `up` the state would contain deleted instances, and the engine would search for each of
    them for minutes. The old directory is kept under another name until the next call.
    """
    mark = directory / "cloud-id"
    if directory.exists() and (not mark.exists() or mark.read_text() != cloud_id):
        backup = directory.with_name(f"{directory.name}.old")
        shutil.rmtree(backup, ignore_errors=True)
        directory.rename(backup)
    directory.mkdir(parents=True, exist_ok=True)
    write_file(mark, cloud_id)


def shorten(text: str) -> str:
    """A message with paths relative to the checkout."""
    return text.replace(f"{PROJECT_ROOT}/", "")


def _read(file: Path) -> dict[str, Any]:
    try:
        return yaml_files.read(file) or {}
    except (OSError, yaml.YAMLError) as error:
        raise OperationError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
