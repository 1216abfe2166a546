"""Provider plugins that are used where the official ones are not installed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

OWN_PLUGINS = Path(__file__).with_name("plugin_commands")
_PREFIX = "pulumi-resource-"


def find_plugins(pulumi: str, environment: Mapping[str, str]) -> dict[str, Path]:
    """The directory of each plugin for a stack on localcloud, by the plugin's name.

    `localcloud exec` says in LOCALCLOUD_PLUGINS where its own are.
    """
    found: dict[str, Path] = {}
    for directory in (OWN_PLUGINS, environment.get("LOCALCLOUD_PLUGINS")):
        for file in sorted(Path(directory).glob(f"{_PREFIX}*")) if directory else ():
            name = file.name.removeprefix(_PREFIX)
            if not _is_installed(name, pulumi, environment):
                found[name] = file.parent
    return found


def _is_installed(name: str, pulumi: str, environment: Mapping[str, str]) -> bool:
    home = Path(environment.get("PULUMI_HOME") or Path(environment.get("HOME", "/"), ".pulumi"))
    return (
        Path(pulumi).resolve().with_name(f"{_PREFIX}{name}").exists()
        or shutil.which(f"{_PREFIX}{name}", path=environment.get("PATH")) is not None
        or any((home / "plugins").glob(f"resource-{name}-v*/{_PREFIX}{name}"))
    )
