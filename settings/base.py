"""The base class of all settings models, and types that several sections use."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel


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
HostPort = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")]
Network = Annotated[IPv4Network, BeforeValidator(_only_text)]
