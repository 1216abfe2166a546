"""Provider plugins that replace the official ones if those are not installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

OWN_PLUGINS = Path(__file__).with_name("plugin_commands")
_PREFIX = "pulumi-resource-"


def find_plugins(pulumi: str, environment: Mapping[str, str]) -> dict[str, Path]:
    """The directory of each plugin for a stack on localcloud, by plugin name.

    `localcloud exec` sets LOCALCLOUD_PLUGINS to the directories of its replacements for plugins that are not installed.
    """
    directories = [Path(path) for path in environment.get("LOCALCLOUD_PLUGINS", "").split(os.pathsep) if path]
    # The official installation has this plugin next to the pulumi command.
    if not Path(pulumi).resolve().with_name(f"{_PREFIX}pulumi-python").exists():
        directories.append(OWN_PLUGINS)
    return {
        file.name.removeprefix(_PREFIX): directory
        for directory in directories
        for file in directory.glob(f"{_PREFIX}*")
    }
