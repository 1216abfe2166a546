"""The base class of all settings models, and types that several sections use."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

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


def _has_a_port(value: str) -> str:
    if not 1 <= int(value.rpartition(":")[2]) <= _LAST_PORT:
        raise ValueError(f"must be HOST:PORT with a port from 1 to {_LAST_PORT} (got {value})")
    return value


HostPort = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$"), AfterValidator(_has_a_port)]
Network = Annotated[IPv4Network, BeforeValidator(_only_text)]
