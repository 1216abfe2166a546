"""The base class of all settings models, and types that several sections use."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

# RFC 1918, RFC 6598 and the node itself.
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8")))
# Names of private networks: RFC 6762, and reserved by ICANN for internal use.
_INTERNAL = (".internal", ".local")
_LAST_PORT = 65_535


class FrozenModel(BaseModel):
    """A frozen model that rejects unknown keys. Keys are camelCase in the stack's file and snake_case in Python."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
    )


def _only_text(value: Any) -> Any:
    """Reject numbers and booleans, which `ipaddress` would convert to addresses."""
    if not isinstance(value, (str, IPv4Address, IPv4Network)):
        raise ValueError(f"must be text such as 10.0.4.20 or 10.0.4.0/24 (got {value!r})")  # noqa: TRY004 - pydantic's contract
    return value


Address = Annotated[IPv4Address, BeforeValidator(_only_text)]


def refuse_repeated(names: Collection[str], kind: str) -> None:
    """Reject a name that occurs twice, regardless of case. Raises ValueError."""
    lowered = [name.lower() for name in names]
    for name in names:
        if lowered.count(name.lower()) > 1:
            raise ValueError(f"must contain each {kind} once, regardless of case (got {name} twice)")


def _is_host(value: str) -> str:
    """Return a host name or an IPv4 address. Raises ValueError.

    A resolver rejects names such as 10.0.4.300 and 10.4, or reads them as another address (10.0.0.4).
    """
    if value.rpartition(".")[2].isdigit():
        try:
            IPv4Address(value)
        except ValueError:
            raise ValueError(f"must be a host name or an IPv4 address (got {value})") from None
    return value


def _has_a_port(value: str) -> str:
    if not 1 <= int(value.rpartition(":")[2]) <= _LAST_PORT:
        raise ValueError(f"must be HOST:PORT with a port from 1 to {_LAST_PORT} (got {value})")
    _is_host(value.rpartition(":")[0])
    return value


HostName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$", max_length=253
    ),
    AfterValidator(_is_host),
]
HostPort = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$"), AfterValidator(_has_a_port)]
Network = Annotated[IPv4Network, BeforeValidator(_only_text)]


def crosses_the_internet_unencrypted(url: str) -> bool:
    """Whether a URL has plain http to a public address, or to a host name that may have one."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return False
    host = parts.hostname or ""
    try:
        return not any(IPv4Address(host) in network for network in _PRIVATE)
    except ValueError:
        return "." in host and not host.endswith(_INTERNAL)
