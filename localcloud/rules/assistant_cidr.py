"""Assistant CIDR blocks of VPCs."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

from localcloud.rules import subnet, vpc
from localcloud.rules.refusal import documented, rule
from localcloud.rules.transaction import Transaction

LIMIT = 5

AssistantCidrOverlaps = rule(
    "InvalidParameterValue.SubnetOverlapAssistCidr",
    "An assistant CIDR block must not overlap another CIDR block of the VPC.",
    documented("CreateAssistantCidr", page="215/43276"),
)
AssistantCidrQuota = rule(
    "LimitExceeded", "A VPC can have at most 5 assistant CIDR blocks.", documented("VPC limits", page="215/537")
)
AssistantCidrInUse = rule(
    "ResourceInUse",
    "An assistant CIDR block cannot be removed while it contains a subnet.",
    documented("DeleteAssistantCidr", page="215/43275"),
)


def change(
    tx: Transaction, vpc_id: str, *, added: tuple[IPv4Network, ...], removed: tuple[IPv4Network, ...]
) -> vpc.Vpc:
    """Remove, then add assistant CIDR blocks."""
    owner = vpc.get(tx, vpc_id)
    for cidr in removed:
        for inside in subnet.in_vpc(tx, vpc_id):
            if inside.cidr.subnet_of(cidr):
                raise AssistantCidrInUse(cidr=cidr, subnet_id=inside.id)
    kept = tuple(cidr for cidr in owner.assistant_cidrs if cidr not in removed)
    for cidr in added:
        vpc.check_cidr(cidr)
        for other in (owner.cidr, *kept):
            if cidr.overlaps(other):
                raise AssistantCidrOverlaps(cidr=cidr, other=other, vpc_id=vpc_id)
        kept = (*kept, cidr)
    if len(kept) > LIMIT:
        raise AssistantCidrQuota(vpc_id=vpc_id)
    return tx.put(replace(owner, assistant_cidrs=kept))
