"""The operator's environment: its network, the API's names, and certificates that trust the local API.

Names and certificates are files mounted over the host's files in a private mount namespace of the command. Every
program in any language sees them, and no other process on the host does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

from localcloud.machines.paths import Paths
from localcloud.network import kernel, names
from localcloud.network.namespaces import Namespaces

_BUNDLES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))
_BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

_SERVICES = (
    "account", "antiddos", "as", "billing", "cam", "cbs", "cdb", "cdn", "clb", "cvm", "cynosdb", "dnspod", "lighthouse",
    "mariadb", "monitor", "organization", "redis", "region", "scf", "ses", "sms", "ssl", "ssm", "sts", "tag", "tat",
    "tke", "vpc",
)  # fmt: skip
_REGIONS = ("ap-guangzhou", "ap-shanghai", "ap-beijing")


def hosts_text() -> str:
    """Map every API host name to the local API.

    A hosts file has no wildcards: a service that is not in the list does not resolve.
    """
    address = names.API_ADDRESS
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    for service in _SERVICES:
        regional = [f"{service}.{region}.tencentcloudapi.com" for region in _REGIONS]
        lines.append(f"{address} {service}.tencentcloudapi.com {' '.join(regional)}")
    return "\n".join(lines) + "\n"


def enter_operator(paths: Paths, command: str) -> dict[str, str]:
    """Move this process (it must have one thread) into the operator's environment; return the command's environment
    variables. Raises OSError.
    """
    bundle = _write_bundle(paths)
    hosts = paths.run / "hosts"
    hosts.write_text(hosts_text())
    resolv = paths.run / "resolv.conf"
    resolv.write_text("# Names are in /etc/hosts: no outside address can be reached.\noptions timeout:1 attempts:1\n")
    _enter(paths, names.OPERATOR)
    kernel.private_mounts()
    _bind(hosts, Path("/etc/hosts"))
    _bind(resolv, Path("/etc/resolv.conf"))
    for place in [*_BUNDLES, *_certifi_bundles(command)]:
        _bind(bundle, place)
    environment = _environment(paths)
    for variable in _BUNDLE_VARIABLES:
        environment[variable] = str(bundle)
    environment.setdefault("TENCENTCLOUD_SECRET_ID", "localcloud")
    environment.setdefault("TENCENTCLOUD_SECRET_KEY", "localcloud-secret")
    environment.setdefault("TENCENTCLOUD_REGION", "ap-guangzhou")
    return environment


def enter_client(paths: Paths) -> dict[str, str]:
    """Move this process to the internet namespace."""
    _enter(paths, names.INTERNET)
    # As the nodes' share of the processor (cgroups.py): a client is another computer, which nodes cannot delay.
    with contextlib.suppress(PermissionError):  # not permitted in some containers
        os.setpriority(os.PRIO_PROCESS, 0, -6)
    return _environment(paths)


def _environment(paths: Paths) -> dict[str, str]:
    # The host's proxies are unreachable here, and local destinations need none.
    environment = {key: value for key, value in os.environ.items() if key not in _PROXIES}
    environment["LOCALCLOUD_NAME"] = paths.cloud
    environment["LOCALCLOUD_ID"] = paths.identity()
    return environment


def _write_bundle(paths: Paths) -> Path:
    """Write the system's certificates and the local CA to one file."""
    ours = (paths.state / "ca.pem").read_text()
    system = next((place.read_text() for place in _BUNDLES if place.exists()), "")
    bundle = paths.run / "ca-bundle.pem"
    text = system + ours
    if not bundle.exists() or bundle.read_text() != text:
        partial = bundle.with_suffix(f".{os.getpid()}")
        partial.write_text(text)
        partial.rename(bundle)
    return bundle


def _certifi_bundles(command: str) -> set[Path]:
    """Find certifi's bundle in every Python environment that the command may use.

    Tencent's SDK opens that file directly and ignores environment variables.
    """
    programs = [shutil.which(name) for name in (command, "python3", "python", "pulumi", "tccli")]
    prefixes = {Path(program).parent.parent for program in programs if program}
    prefixes |= {Path(program).resolve().parent.parent for program in programs if program}
    prefixes |= {Path(sys.prefix), Path(os.environ.get("VIRTUAL_ENV", sys.prefix)), Path.cwd() / ".venv"}
    return {
        bundle
        for prefix in prefixes
        for packages in ("site-packages", "dist-packages")
        for bundle in prefix.glob(f"lib/python3*/{packages}/certifi/cacert.pem")
    }


def _enter(paths: Paths, what: str) -> None:
    with Namespaces(paths.cloud).path(what).open("rb") as namespace:
        kernel.enter_network(namespace.fileno())


def _bind(source: Path, target: Path) -> None:
    if target.exists():
        kernel.bind(source, target.resolve())
