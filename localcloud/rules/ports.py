"""Port lists of security group policies: "ALL", "80", "80,443", "8000-8010"."""

from __future__ import annotations

from localcloud.rules.refusal import documented, rule

LAST = 65535

PortMalformed = rule(
    "InvalidParameterValue.Malformed",
    "The port of a policy must be ALL, a number, a range, or a list of numbers and ranges.",
    documented("CreateSecurityGroupPolicies, SecurityGroupPolicy.Port (215/15824)", page="215/15807"),
)


def port_ranges(port: str) -> tuple[tuple[int, int], ...]:
    """Return inclusive port ranges; an empty list means all ports. Raises: PortMalformed."""
    if port.upper() in {"ALL", ""}:
        return ()
    return tuple(_range(part, port) for part in port.split(","))


def _range(part: str, whole: str) -> tuple[int, int]:
    low, dash, high = part.strip().partition("-")
    if not low.isascii() or not low.isdigit() or (dash and not (high.isascii() and high.isdigit())):
        raise PortMalformed(got=whole)
    first, last = int(low), int(high or low)
    if not 0 <= first <= last <= LAST:
        raise PortMalformed(got=whole)
    return first, last
