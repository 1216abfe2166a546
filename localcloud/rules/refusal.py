"""The errors of the API: one exception class for each rule, with the source of the rule.

ApiError                  an error response: a code and a message
`-- Refusal               a request broke a rule; each subclass is one rule, with its source
    |-- rules of a resource, next to its record, in localcloud/rules/<kind>.py
    `-- rules of the gateway (signature, parameters, limits), in localcloud/api/request_rules.py

Most are made by `rule`. The docstring of a refusal states the rule, which `localcloud actions` and docs/localcloud.md
print.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule comes from, which determines how reliable it is.

    `page` is PRODUCT/DOCUMENT of cloud.tencent.com (`215/15774` is /document/product/215/15774). The prefix `intl:`
    means the numbering of tencentcloud.com.
    """

    kind: Literal["documented", "provider", "assumed"]
    where: str
    page: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.page}: {self.where}" if self.page else f"{self.kind}: {self.where}"


def documented(says: str, *, page: str) -> Source:
    """A rule from a public page. `says` names the action, and what its page says beyond the code of the rule.

    The SDK's errorcodes.py and models.py are generated from these pages.
    """
    return Source("documented", says, page)


def provider(where: str) -> Source:
    """A rule that terraform-provider-tencentcloud relies on: observed or read in version 1.82.42."""
    return Source("provider", where)


def assumed(why: str) -> Source:
    """A rule without a public source. `why` gives the reason for the assumption."""
    return Source("assumed", why)


class ApiError(Exception):
    """An error response."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Refusal(ApiError):  # noqa: N818 - a refusal is an expected result, not a program error
    """A violated rule. The message is the rule in words, and the values; or `template`, filled with the values."""

    code: str = ""
    template: ClassVar[str] = ""
    source: ClassVar[Source]

    def __init__(self, **values: object) -> None:
        super().__init__(self.code, self.template.format(**values) or _rule_and_values(type(self), values))


def rule(code: str, text: str, source: Source, *, template: str = "") -> type[Refusal]:
    """Return the refusal for a rule."""
    members = {"__doc__": text, "code": code, "source": source, "template": template}
    return type(code.replace(".", "_"), (Refusal,), members)


def _rule_and_values(refusal: type[Refusal], values: Mapping[str, object]) -> str:
    """Return a message such as "Subnets of one VPC must not overlap (got `10.0.4.0/25`, other `10.0.4.0/24`)."."""
    facts = ", ".join(f"{name.replace('_', ' ')} `{value}`" for name, value in values.items())
    return f"{rule_in_words(refusal).removesuffix('.')} ({facts})." if facts else rule_in_words(refusal)


def rule_in_words(refusal: type[Refusal]) -> str:
    """Return the rule as one line of text: the docstring, unwrapped."""
    return " ".join((refusal.__doc__ or "").split())


_COMMON = documented("the common error codes of API 3.0", page="213/30435")
MissingParameter = rule(
    "MissingParameter",
    "A required parameter or header must be given.",
    _COMMON,
    template="The request must have the parameter `{name}`.",
)
UnknownParameter = rule(
    "UnknownParameter",
    "A parameter must be in the request model of the action.",
    _COMMON,
    template="The parameter `{name}` must be in the request model of the action.",
)
WrongType = rule(
    "InvalidParameter",
    "A parameter must have the type that the request model specifies.",
    _COMMON,
    template="The parameter `{name}` must be {expected}.",
)
InvalidParameterValue = rule(
    "InvalidParameterValue",
    "The value of a parameter must be one that the action documents.",
    _COMMON,
    template="The parameter `{name}` must be {expected} (got {value!r}).",
)
ParameterOutOfRange = rule(
    "InvalidParameterValue.Range",
    "A number must be in its documented range.",
    documented("DescribeVpcs and other list actions", page="215/15778"),
    template="The parameter `{name}` must be in the range [{low}, {high}] (got {value}).",
)


def check_range(name: str, value: int, low: int, high: int) -> int:
    """Return the value. Raises: ParameterOutOfRange."""
    if not low <= value <= high:
        raise ParameterOutOfRange(name=name, value=value, low=low, high=high)
    return value


ParameterTooLong = rule(
    "InvalidParameterValue.TooLong",
    "A name or description must not exceed its documented length, usually 60 bytes of UTF-8.",
    documented("CreateVpc: VpcName at most 60 bytes", page="215/15774"),
    template="The parameter `{name}` must not be longer than {limit}.",
)


def check_bytes(name: str, value: str, limit: int) -> None:
    """Raises: ParameterTooLong if the UTF-8 text exceeds `limit` bytes. A Chinese character takes three bytes."""
    if len(value.encode()) > limit:
        raise ParameterTooLong(name=name, limit=limit)


TooManyValues = rule(
    "InvalidParameterValue.LimitExceeded",
    "A list must not exceed its documented length, usually 100 entries.",
    documented("DescribeVpcs: at most 100 ids", page="215/15778"),
    template="The parameter `{name}` must not have more than {limit} values (got {count}).",
)


def check_count(name: str, count: int, limit: int = 100) -> None:
    """Raises: TooManyValues if a list has more than `limit` entries."""
    if count > limit:
        raise TooManyValues(name=name, count=count, limit=limit)


IdMalformed = rule(
    "InvalidParameterValue.Malformed",
    "An ID of the service vpc must be the prefix of its kind, a hyphen, and 8 lower-case letters or digits.",
    documented("all actions of vpc: IDs such as vpc-f49l6u0z", page="215/15773"),
    template="The parameter `{name}` must be `{prefix}-` followed by 8 characters (got `{value}`).",
)
ClientTokenReused = rule(
    "UnsupportedOperation.IdempotentParameterMismatch",
    "A ClientToken must not be used again with different parameters.",
    documented("CreateNetworkInterface: ClientToken", page="215/15818"),
    template="The client token `{token}` must not be used again with different parameters.",
)
