"""What the API refuses, and on whose word.

ApiError                  any answer with an `Error` in it: a code and a message
`-- Refusal               a rule said no; each subclass is one rule, with its source
    |-- ... beside the records they guard, in localcloud/rules/<kind>.py
    `-- the gateway's own (signature, parameters, limits), in localcloud/api/refusals.py

A refusal's docstring is the rule in words; `localcloud actions` and docs/localcloud.md print it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule comes from, so that a reader can judge how far to trust it.

    `page` is PRODUCT/DOCUMENT of cloud.tencent.com (`215/15774` is /document/product/215/15774), or `intl:`
    and those of tencentcloud.com, which has other numbers.
    """

    kind: Literal["documented", "provider", "assumed"]
    where: str
    page: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.page}: {self.where}" if self.page else f"{self.kind}: {self.where}"


def documented(says: str, *, page: str) -> Source:
    """What a public page says. The SDK's errorcodes.py and models.py are made from these pages: name the page."""
    return Source("documented", says, page)


def provider(where: str) -> Source:
    """terraform-provider-tencentcloud relies on it (shared/reference/provider-api.md)."""
    return Source("provider", where)


def assumed(why: str) -> Source:
    """Nothing public says so; this is what localcloud takes for granted, and why."""
    return Source("assumed", why)


class ApiError(Exception):
    """An answer with an error in it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Refusal(ApiError):  # noqa: N818 - "Refusal" is what it is: a rule that says no
    """One rule that says no. Subclasses set the three class attributes; values fill the message's braces."""

    code: str = ""
    template: ClassVar[str] = ""
    source: ClassVar[Source]

    def __init__(self, **values: object) -> None:
        super().__init__(type(self).code, type(self).template.format(**values))


def rule_in_words(refusal: type[Refusal]) -> str:
    """The rule as one line of prose: its docstring, unwrapped."""
    return " ".join((refusal.__doc__ or "").split())


_COMMON = documented("the common error codes of API 3.0", page="213/30435")


class MissingParameter(Refusal):
    """A required parameter or header is given."""

    code = "MissingParameter"
    template = "The request is missing a required parameter `{name}`."
    source = _COMMON


class UnknownParameter(Refusal):
    """Every parameter is in the action's request model."""

    code = "UnknownParameter"
    template = "The parameter `{name}` is not recognized."
    source = _COMMON


class WrongType(Refusal):
    """A parameter has the type that the request model gives it."""

    code = "InvalidParameter"
    template = "The value type of parameter `{name}` is not valid: {wanted} expected."
    source = _COMMON


class InvalidParameterValue(Refusal):
    """A parameter has the right type, but a value outside what it may be."""

    code = "InvalidParameterValue"
    template = "Invalid value for parameter `{name}`: {value!r}; {wanted}."
    source = _COMMON


class ParameterOutOfRange(Refusal):
    """A number lies inside its documented range."""

    code = "InvalidParameterValue.Range"
    template = "The value `{value}` of parameter `{name}` is not in the range [{low}, {high}]."
    source = documented("DescribeVpcs and the other lists: InvalidParameterValue.Range", page="215/15778")


def check_range(name: str, value: int, low: int, high: int) -> int:
    """The value. Raises ParameterOutOfRange."""
    if not low <= value <= high:
        raise ParameterOutOfRange(name=name, value=value, low=low, high=high)
    return value


class ParameterTooLong(Refusal):
    """A name or description is at most as long as its page says, mostly 60 bytes of UTF-8."""

    code = "InvalidParameterValue.TooLong"
    template = "The value of parameter `{name}` is longer than {limit}."
    source = documented("CreateVpc: VpcName at most 60 bytes; InvalidParameterValue.TooLong", page="215/15774")


def check_bytes(name: str, value: str, limit: int) -> None:
    """Raises ParameterTooLong for a text of more bytes; Chinese characters count three each."""
    if len(value.encode()) > limit:
        raise ParameterTooLong(name=name, limit=limit)


class TooManyValues(Refusal):
    """A list has at most as many entries as its page says, mostly 100."""

    code = "InvalidParameterValue.LimitExceeded"
    template = "The parameter `{name}` has {count} values; the limit is {limit}."
    source = documented("DescribeVpcs: at most 100 ids; InvalidParameterValue.LimitExceeded", page="215/15778")


def check_count(name: str, count: int, limit: int = 100) -> None:
    """Raises TooManyValues for a list of more than `limit` entries."""
    if count > limit:
        raise TooManyValues(name=name, count=count, limit=limit)


class IdMalformed(Refusal):
    """An id is its kind's prefix, a hyphen, and 8 lower-case letters or digits (service vpc)."""

    code = "InvalidParameterValue.Malformed"
    template = "The value `{value}` of parameter `{name}` is malformed: it must read `{prefix}-` and 8 characters."
    source = documented("every action of vpc: ids as vpc-f49l6u0z; InvalidParameterValue.Malformed", page="215/15773")


class ClientTokenReused(Refusal):
    """A ClientToken names one request: the same token with other parameters is refused."""

    code = "UnsupportedOperation.IdempotentParameterMismatch"
    template = "The client token `{token}` has already been used with other parameters."
    source = documented(
        "CreateNetworkInterface: ClientToken; UnsupportedOperation.IdempotentParameterMismatch", page="215/15818"
    )
