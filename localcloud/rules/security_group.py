"""Security groups with versioned, ordered policies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import InvalidParameterValue, ParameterTooLong, documented, provider, rule
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
DESCRIPTION_LIMIT = 100
QUOTA = 50
POLICIES_PER_DIRECTION = 100
REFERRED_GROUPS = 10

Direction = Literal["ingress", "egress"]


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy. Exactly one of `cidr`, `ipv6_cidr` and `group_id` is set and identifies the peer."""

    protocol: str  # TCP, UDP, ICMP, ICMPv6, GRE, ALL
    port: str  # "ALL", "80", "80,443", "8000-8010"
    cidr: str
    ipv6_cidr: str
    group_id: str
    action: str  # ACCEPT, DROP
    description: str
    modified: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup(Record):
    """Policies in order of precedence. Traffic that matches no policy is dropped."""

    affects_network_plan: ClassVar[bool] = True

    name: str
    description: str
    project_id: str
    is_default: bool = False
    updated: float = 0.0
    version: int = 0
    ingress: tuple[Policy, ...] = ()
    egress: tuple[Policy, ...] = ()

    def policies(self, direction: Direction) -> tuple[Policy, ...]:
        return self.ingress if direction == "ingress" else self.egress


SecurityGroupNotFound = rule(
    "ResourceNotFound",
    "SecurityGroupId must identify an existing security group.",
    documented("DeleteSecurityGroup and others; DescribeSecurityGroups (215/15808)", page="215/15803"),
)
SecurityGroupQuota = rule(
    "LimitExceeded",
    "A region can have at most 50 security groups.",
    documented("VPC limits: 50 security groups in a region (also in 215/41428)", page="215/537"),
)
SecurityGroupInUse = rule(
    "ResourceInUse",
    "A security group cannot be deleted while an interface or a policy of another group uses it.",
    documented("DeleteSecurityGroup: no policy may refer to the group", page="215/15803"),
)
PolicyQuota = rule(
    "LimitExceeded",
    "A security group can have at most 100 policies in each direction.",
    documented("VPC limits: 100 in each direction; code: 215/15807, 215/15810", page="215/537"),
)
ReferredGroupsQuota = rule(
    "LimitExceeded",
    "The policies of a security group can refer to at most 10 other groups.",
    documented("VPC limits: IDs of 10 security groups in the policies of a group", page="215/537"),
)
VersionMismatch = rule(
    "UnsupportedOperation.VersionMismatch",
    "The Version in a request that replaces all policies must be the current version + 1 or absent.",
    provider("sends the stored version + 1 (observed with 1.82.42); code in errorcodes.py"),
)
VersionStale = rule(
    "UnsupportedOperation.VersionMismatch",
    "The Version in a request that deletes single policies must be the current version or absent.",
    documented("DeleteSecurityGroupPolicies, 215/15807", page="215/15809"),
)
DuplicatePolicy = rule(
    "UnsupportedOperation.DuplicatePolicy",
    "A security group must not have two equal policies in one direction.",
    documented("CreateSecurityGroupPolicies", page="215/15807"),
)
PolicyNotFound = rule(
    "ResourceNotFound", "A policy to delete must exist.", documented("DeleteSecurityGroupPolicies", page="215/15809")
)
OneDirectionOnly = rule(
    "InvalidParameter.Coexist",
    "A request to delete policies must have either Ingress or Egress.",
    documented("DeleteSecurityGroupPolicies: one direction in a request", page="215/15809"),
)


def get(tx: Transaction, group_id: str) -> SecurityGroup:
    return tx.get(SecurityGroup, group_id, SecurityGroupNotFound)


def create(tx: Transaction, requested: SecurityGroup, tags: tag.Tags) -> SecurityGroup:
    """Create a security group without policies, which blocks all traffic in both directions."""
    _check_texts(requested)
    if len(tx.all(SecurityGroup)) >= QUOTA:
        raise SecurityGroupQuota
    return tag.create(tx, "sg", replace(requested, updated=tx.now), tags)


def _check_texts(group: SecurityGroup) -> None:
    if len(group.name) > NAME_LIMIT:
        raise ParameterTooLong(name="GroupName", limit=NAME_LIMIT)
    if len(group.description) > DESCRIPTION_LIMIT:
        raise ParameterTooLong(name="GroupDescription", limit=DESCRIPTION_LIMIT)


def change(tx: Transaction, changed: SecurityGroup) -> None:
    _check_texts(changed)
    tx.put(replace(changed, updated=tx.now))


def delete(tx: Transaction, group_id: str) -> None:
    """Delete an unused security group. Raises: SecurityGroupInUse."""
    group = get(tx, group_id)
    for user in references.users(tx, group):
        raise SecurityGroupInUse(group_id=group_id, user=user)
    tag.delete(tx, group)


def replace_all(
    tx: Transaction,
    group_id: str,
    *,
    version: str,
    ingress: tuple[Policy, ...] | None,
    egress: tuple[Policy, ...] | None,
) -> None:
    """ModifySecurityGroupPolicies: replace all policies of each given direction.

    Version "0" removes all policies, ignores the given ones, and resets the version counter.
    """
    group = get(tx, group_id)
    if version == "0":
        tx.put(replace(group, ingress=(), egress=(), version=0, updated=tx.now))
        return
    if version and version != str(group.version + 1):
        raise VersionMismatch(got=version, current=group.version)
    changed = replace(
        group, ingress=group.ingress if ingress is None else ingress, egress=group.egress if egress is None else egress
    )
    _keep(tx, changed)


def _keep(tx: Transaction, group: SecurityGroup) -> None:
    for direction in ("ingress", "egress"):
        policies = group.policies(direction)
        if len(policies) > POLICIES_PER_DIRECTION:
            raise PolicyQuota(got=len(policies), group_id=group.id, direction=direction)
        seen: set[tuple[str, ...]] = set()
        for policy in policies:
            if _essence(policy) in seen:
                raise DuplicatePolicy(policy=_describe(policy))
            seen.add(_essence(policy))
            # ModifySecurityGroupPolicies: a group of the same project (215/15810).
            if policy.group_id and get(tx, policy.group_id).project_id != group.project_id:
                raise InvalidParameterValue(name="SecurityGroupId", value=policy.group_id, expected="of this project")
    referred = {policy.group_id for policy in (*group.ingress, *group.egress) if policy.group_id}
    if len(referred) > REFERRED_GROUPS:
        raise ReferredGroupsQuota(got=len(referred), group_id=group.id)
    tx.put(replace(group, version=group.version + 1, updated=tx.now))


def _essence(policy: Policy) -> tuple[str, ...]:
    peer = policy.cidr or policy.ipv6_cidr or policy.group_id
    return (policy.protocol.upper(), policy.port.upper(), peer, policy.action)


def _describe(policy: Policy) -> str:
    return " ".join(_essence(policy))


def check_version(tx: Transaction, group_id: str, version: str) -> None:
    """Raises: VersionStale if a version is given and differs from the current one."""
    current = get(tx, group_id).version
    if version and version != str(current):
        raise VersionStale(got=version, current=current)


def _with(group: SecurityGroup, direction: Direction, policies: tuple[Policy, ...]) -> SecurityGroup:
    return replace(group, ingress=policies) if direction == "ingress" else replace(group, egress=policies)


def remove_at(tx: Transaction, group_id: str, direction: Direction, indexes: tuple[int, ...]) -> None:
    """DeleteSecurityGroupPolicies by index."""
    group = get(tx, group_id)
    present = group.policies(direction)
    for index in indexes:
        if not 0 <= index < len(present):
            raise PolicyNotFound(direction=direction, policy=index, group_id=group_id)
    _keep(tx, _with(group, direction, tuple(policy for at, policy in enumerate(present) if at not in indexes)))


def remove_equal(tx: Transaction, group_id: str, direction: Direction, policies: tuple[Policy, ...]) -> None:
    """DeleteSecurityGroupPolicies by content."""
    group = get(tx, group_id)
    present = group.policies(direction)
    removed = {_essence(policy) for policy in policies}
    for policy in policies:
        if _essence(policy) not in {_essence(one) for one in present}:
            raise PolicyNotFound(direction=direction, policy=_describe(policy), group_id=group_id)
    _keep(tx, _with(group, direction, tuple(policy for policy in present if _essence(policy) not in removed)))


@references.uses(SecurityGroup)
def _in_policies(tx: Transaction, group_id: str) -> list[str]:
    return [
        group.id
        for group in tx.all(SecurityGroup)
        if group.id != group_id and any(policy.group_id == group_id for policy in (*group.ingress, *group.egress))
    ]
