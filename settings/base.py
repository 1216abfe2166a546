"""The base of every settings model, and types that several sections use."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class FrozenModel(BaseModel):
    """Frozen, refuses unknown keys; camelCase outside (the stack's file), snake_case inside."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=False,
    )


def _only_text(value: Any) -> Any:
    """Refuse numbers and booleans, which `ipaddress` would read as addresses."""
    if not isinstance(value, (str, IPv4Address, IPv4Network)):
        raise ValueError(f"{value!r} is no text such as 10.0.4.20 or 10.0.4.0/24")  # noqa: TRY004 - pydantic's contract
    return value


Address = Annotated[IPv4Address, BeforeValidator(_only_text)]
Network = Annotated[IPv4Network, BeforeValidator(_only_text)]
