"""Typed access to the parameters of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from localcloud.rules.refusal import IdMalformed, MissingParameter, check_count, check_range, documented, rule

AddressMalformed = rule(
    "InvalidParameterValue.Malformed",
    "An IPv4 address must be four numbers from 0 to 255.",
    documented("CreateHaVip: Vip", page="215/30652"),
)
CidrMalformed = rule(
    "InvalidParameterValue.Malformed",
    "A CIDR block must be the first address of a network, a slash, and the length of the mask.",
    documented("CreateVpc: CidrBlock", page="215/15774"),
)
FlagMalformed = rule(
    "InvalidParameterValue",
    "A boolean that is sent as a string must be `true` or `false`.",
    documented("CreateVpc: EnableMulticast true or false", page="215/15774"),
)


class Parameters:
    """Validated parameters, or one object within them. Error messages use `path` (such as `Filters.0.`)."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self.values = values
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def _required(self, name: str) -> Any:
        if name not in self.values:
            raise MissingParameter(name=self._path + name)
        return self.values[name]

    def text(self, name: str) -> str:
        return self._required(name)

    def resource_id(self, name: str, prefix: str) -> str:
        """Return a required ID such as `vpc-8dwg2a5q`. Raises: IdMalformed."""
        value = self.text(name)
        if not re.fullmatch(rf"{prefix}-[0-9a-z]{{8}}", value):
            raise IdMalformed(name=self._path + name, value=value, prefix=prefix)
        return value

    def find_text(self, name: str) -> str | None:
        return self.values.get(name)

    def integer(self, name: str) -> int:
        return self._required(name)

    def find_integer(self, name: str) -> int | None:
        return self.values.get(name)

    def integer_or(self, name: str, default: int) -> int:
        return self.values.get(name, default)

    def integer_in(self, name: str, low: int, high: int, default: int) -> int:
        """Return an integer within a range, or the default. Raises: ParameterOutOfRange."""
        return check_range(self._path + name, self.values.get(name, default), low, high)

    def flag(self, name: str, *, default: bool = False) -> bool:
        return self.values.get(name, default)

    def find_flag(self, name: str) -> bool | None:
        return self.values.get(name)

    def find_text_flag(self, name: str) -> bool | None:
        """Return a boolean that is sent as a string, or None if absent."""
        value = self.find_text(name)
        if value is None:
            return None
        if value.lower() not in {"true", "false"}:
            raise FlagMalformed(name=self._path + name, value=value)
        return value.lower() == "true"

    def texts(self, name: str, limit: int | None = None) -> tuple[str, ...]:
        """Return a list of strings, empty if absent. Its length is unlimited by default. Raises: TooManyValues."""
        values = tuple(self.values.get(name, ()))
        if limit is not None:
            check_count(self._path + name, len(values), limit)
        return values

    def required_texts(self, name: str, limit: int = 100) -> tuple[str, ...]:
        """Return a list of at least one string. Raises: TooManyValues."""
        values = tuple(self._required(name))
        if not values:
            raise MissingParameter(name=self._path + name)
        check_count(self._path + name, len(values), limit)
        return values

    def integers(self, name: str) -> tuple[int, ...]:
        return tuple(self.values.get(name, ()))

    def required_integers(self, name: str) -> tuple[int, ...]:
        values = tuple(self._required(name))
        if not values:
            raise MissingParameter(name=self._path + name)
        return values

    def inside(self, name: str) -> Parameters:
        return Parameters(self.values.get(name, {}), f"{self._path}{name}.")

    def required_inside(self, name: str) -> Parameters:
        return Parameters(self._required(name), f"{self._path}{name}.")

    def find_inside(self, name: str) -> Parameters | None:
        return self.inside(name) if name in self.values else None

    def each(self, name: str, limit: int = 100) -> list[Parameters]:
        """Return a list of objects, empty if absent. Raises: TooManyValues."""
        entries = self.values.get(name, ())
        check_count(self._path + name, len(entries), limit)
        return [Parameters(entry, f"{self._path}{name}.{index}.") for index, entry in enumerate(entries)]

    def required_each(self, name: str, limit: int = 100) -> list[Parameters]:
        if not self._required(name):
            raise MissingParameter(name=self._path + name)
        return self.each(name, limit)

    def cidr(self, name: str) -> IPv4Network:
        return as_cidr(self.text(name), self._path + name)

    def cidrs(self, name: str) -> tuple[IPv4Network, ...]:
        return tuple(as_cidr(value, f"{self._path}{name}.{index}") for index, value in enumerate(self.texts(name)))

    def find_address(self, name: str) -> IPv4Address | None:
        """Return an IPv4 address, or None if absent or empty."""
        value = self.find_text(name)
        return as_address(value, self._path + name) if value else None

    def addresses(self, name: str) -> tuple[IPv4Address, ...]:
        return tuple(as_address(value, f"{self._path}{name}.{index}") for index, value in enumerate(self.texts(name)))


def as_cidr(value: str, name: str) -> IPv4Network:
    """Raises: CidrMalformed, also if host bits are set."""
    if "/" not in value:
        raise CidrMalformed(name=name, value=value)
    try:
        return IPv4Network(value)
    except ValueError:
        raise CidrMalformed(name=name, value=value) from None


def as_address(value: str, name: str) -> IPv4Address:
    """Raises: AddressMalformed."""
    try:
        return IPv4Address(value)
    except ValueError:
        raise AddressMalformed(name=name, value=value) from None
