"""Networks and addresses as a person writes them: text. A number or a switch would be taken for one, too."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import BeforeValidator


def _only_text(value: Any) -> Any:
    if not isinstance(value, (str, IPv4Address, IPv4Network)):
        raise ValueError(f"{value!r} is no text such as 10.0.4.20 or 10.0.4.0/24")  # noqa: TRY004 - pydantic's contract
    return value


Address = Annotated[IPv4Address, BeforeValidator(_only_text)]
Network = Annotated[IPv4Network, BeforeValidator(_only_text)]
