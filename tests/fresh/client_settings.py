"""Reads the settings of this host's package clients (registries, proxies, certificates) for the fresh system.

They are read at run time and never committed, because each host has other mirrors, proxies and certificates.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_PIP = ("INDEX_URL", "EXTRA_INDEX_URL", "TRUSTED_HOST", "PROXY", "DEFAULT_TIMEOUT", "RETRIES")
_UV = ("INDEX", "DEFAULT_INDEX", "INDEX_URL", "EXTRA_INDEX_URL", "INSECURE_HOST", "NATIVE_TLS", "HTTP_TIMEOUT")
_GO = ("GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE")
_NAMES = (
    *_PROXIES,
    *(name.upper() for name in _PROXIES),
    *_CERTIFICATES,
    *(f"PIP_{name}" for name in _PIP),
    *(f"UV_{name}" for name in _UV),
    *_GO,
)

# `update-ca-certificates` builds the bundle of the fresh system from these and Debian's certificates.
LOCAL_AUTHORITIES = Path("usr/local/share/ca-certificates")
_BUNDLES = Path("/etc/ssl/certs")

_FILES = (
    "etc/pip.conf",
    "root/.config/pip/pip.conf",
    "root/.pip/pip.conf",
    "etc/uv/uv.toml",
    "root/.config/uv/uv.toml",
)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    environment: dict[str, str]
    files: tuple[Path, ...]  # files of this host to copy to the same path on the fresh system


def read_client_settings(environment: Mapping[str, str], root: Path = Path("/")) -> ClientSettings:
    """Return the settings in variables and files, without paths that the fresh system does not have (caches)."""
    chosen = {
        name: value for name, value in {**_go_settings(environment), **environment}.items() if name in _NAMES and value
    }
    files = [root / name for name in _FILES if (root / name).is_file()]
    files += sorted((root / LOCAL_AUTHORITIES).rglob("*.crt"))
    for name in _CERTIFICATES:
        path = Path(chosen.get(name, "/"))
        if path.is_file() and not path.is_relative_to(_BUNDLES):
            files.append(path)
        elif not path.is_relative_to(_BUNDLES):
            chosen.pop(name, None)
    return ClientSettings(chosen, tuple(files))


def _go_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings made with `go env -w`, which are not in the environment."""
    go = shutil.which("go", path=environment.get("PATH"))
    if go is None:
        return {}
    done = subprocess.run([go, "env", "-json", *_GO], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
