"""The endpoint of the API. These providers accept only localcloud."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from localcloud.providers.errors import ProviderError
from localcloud.providers.plugins import install_command

# The API's real host names resolve to this range in localcloud's operator namespace (RFC 5737: not on the internet).
_LOCALCLOUD: Final = ipaddress.ip_network("198.51.100.0/24")


@dataclass(frozen=True, slots=True)
class Endpoint:
    protocol: str  # "https" or "http"
    domain: str  # the part after "<service>."; or an address with port, for an API on loopback
    secret_id: str
    secret_key: str
    region: str

    def host(self, service: str) -> str:
        name = self.domain.rsplit(":", 1)[0]
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return f"{service}.{self.domain}"
        return self.domain


def find_endpoint(config: Mapping[str, str]) -> Endpoint:
    """Read the endpoint from the stack's `tencentcloud:` configuration, then from the environment.

    Raises: ProviderError if a value is missing or the endpoint is not localcloud.
    """

    def find(key: str, variable: str, default: str = "") -> str:
        return config.get(key) or os.environ.get(variable) or default

    endpoint = Endpoint(
        protocol=find("protocol", "TENCENTCLOUD_PROTOCOL", "https").lower(),
        domain=find("domain", "TENCENTCLOUD_DOMAIN", "tencentcloudapi.com"),
        secret_id=find("secretId", "TENCENTCLOUD_SECRET_ID"),
        secret_key=find("secretKey", "TENCENTCLOUD_SECRET_KEY"),
        region=find("region", "TENCENTCLOUD_REGION"),
    )
    missing = [
        name
        for name, value in (
            ("TENCENTCLOUD_SECRET_ID", endpoint.secret_id),
            ("TENCENTCLOUD_SECRET_KEY", endpoint.secret_key),
            ("tencentcloud:region (or TENCENTCLOUD_REGION)", endpoint.region),
        )
        if not value
    ]
    if missing:
        raise ProviderError(
            f"{', '.join(missing)} must be set; run the command with `localcloud exec -- ...`, which sets them"
        )
    _require_localcloud(endpoint.host("vpc"))
    return endpoint


def _require_localcloud(host: str) -> None:
    """Raises: ProviderError for any other API, because an interrupted create could leave resources that cost money."""
    name, _, port = host.partition(":")
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(name, int(port or 443), type=socket.SOCK_STREAM)}
    except OSError:
        addresses = set()
    if addresses and all(_is_local(ipaddress.ip_address(address)) for address in addresses):
        return
    raise ProviderError(
        f"{host} must be the API of localcloud ({', '.join(sorted(addresses)) or 'name not found'}): "
        "this replacement of the provider plugin supports only localcloud\n"
        "  for a stack on localcloud: run the command with `localcloud exec -- ...`\n"
        f"  for Tencent Cloud: install the real plugin\n    {install_command('tencentcloud')}"
    )


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback or address in _LOCALCLOUD
