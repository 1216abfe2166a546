"""The plugin sets of the conformance tests: the plugins of localcloud, and the real ones if all are on the PATH."""

from __future__ import annotations

import shutil
from pathlib import Path

from localcloud.providers.plugins import PLUGINS
from tests.localcloud.providers.cloud import Cloud
from tests.localcloud.providers.project import Project

MISSING = [plugin for plugin in PLUGINS if shutil.which(f"pulumi-resource-{plugin}") is None]
PLUGIN_SETS = ("localcloud",) if MISSING else ("localcloud", "real")

# The real plugin prefixes the domain with the service name, so it cannot use an IP address.
_DOMAIN = "localcloud.test"
_SERVICES = ("cbs", "cvm", "dnspod", "monitor", "tag", "vpc")
_WITH_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


def open_project(plugins: str, directory: Path, cloud: Cloud) -> Project:
    """Open a project that runs on one of PLUGIN_SETS. The real plugins require root for a separate /etc/hosts."""
    if plugins == "localcloud":
        return Project(directory / "project", cloud.environment)
    hosts = directory / "hosts"
    names = " ".join(f"{service}.{_DOMAIN}" for service in _SERVICES)
    hosts.write_text(f"127.0.0.1 localhost {names}\n")
    environment = {
        **cloud.environment,
        "TENCENTCLOUD_DOMAIN": f"{_DOMAIN}:{cloud.address.rpartition(':')[2]}",
    }
    launcher = ("unshare", "--mount", "sh", "-c", _WITH_HOSTS, str(hosts))
    return Project(directory / "project", environment, stand_ins=(), launcher=launcher)
