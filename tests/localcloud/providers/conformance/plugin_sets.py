"""On which provider plugins the conformance tests run: localcloud's always, the real ones where all are on the PATH."""

from __future__ import annotations

import shutil

from localcloud.providers.plugins import PLUGINS

MISSING = [plugin for plugin in PLUGINS if shutil.which(f"pulumi-resource-{plugin}") is None]

# Each set's name, and the plugins that localcloud stands in for.
PLUGIN_SETS: dict[str, tuple[str, ...]] = {"localcloud": PLUGINS, **({} if MISSING else {"real": ()})}
