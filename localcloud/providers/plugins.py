"""The executables of the plugins that are not installed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata, resources
from pathlib import Path
from typing import Final

# Each plugin with the package of its SDK; their versions must match.
_PACKAGES: Final = {"tencentcloud": "tencentcloud_iac_pulumi", "random": "pulumi_random", "tls": "pulumi_tls"}
PLUGINS: Final = tuple(_PACKAGES)
_ROOT: Final = Path(__file__).resolve().parents[2]


def version(plugin: str) -> str:
    return metadata.version(_PACKAGES[plugin])


def install_command(plugin: str) -> str:
    """Return the command that installs the real plugin, from the metadata of the SDK."""
    described = json.loads((resources.files(_PACKAGES[plugin]) / "pulumi-plugin.json").read_text())
    server = f" --server {described['server']}" if described.get("server") else ""
    return f"pulumi plugin install resource {plugin} {version(plugin)}{server}"


def with_plugins(
    environment: Mapping[str, str], directory: Path, plugins: Iterable[str] | None = None
) -> dict[str, str]:
    """Return the environment with replacements of the given plugins on the PATH, by default of all missing plugins.

    The executables are written to separate directories in `directory`. The engine prefers plugins on the PATH to
    installed ones.
    """
    named = find_missing(environment) if plugins is None else plugins
    places = [str(_write(plugin, directory)) for plugin in named]
    path = [place for place in (*places, environment.get("PATH", "")) if place]
    # Pulumi.yaml of `tandem` lists its plugins, and the engine warns about those on the PATH.
    return {**environment, "PATH": os.pathsep.join(path), "LOCALCLOUD_PLUGINS": os.pathsep.join(places)}


def find_missing(environment: Mapping[str, str]) -> list[str]:
    return [plugin for plugin in PLUGINS if not _is_installed(plugin, environment)]


def _is_installed(plugin: str, environment: Mapping[str, str]) -> bool:
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    installed = home / "plugins" / f"resource-{plugin}-v{version(plugin)}"
    return installed.is_dir() or shutil.which(_executable(plugin), path=environment.get("PATH")) is not None


def _executable(plugin: str) -> str:
    return f"pulumi-resource-{plugin}"


def _write(plugin: str, directory: Path) -> Path:
    """Write a script that runs this interpreter, independent of directory and PATH. Returns the directory."""
    place = directory / plugin
    place.mkdir(parents=True, exist_ok=True)
    script = place / _executable(plugin)
    text = (
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(str(_ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}\n"
        "export PYTHONPATH\n"
        f'exec {shlex.quote(sys.executable)} -m localcloud.providers {plugin} "$@"\n'
    )
    if not script.exists() or script.read_text() != text:
        partial = place / f".{os.getpid()}"
        partial.write_text(text)
        partial.chmod(0o755)
        partial.rename(script)
    return place
