"""Security groups and their policies, in order, with versions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import InvalidParameterValue, ParameterTooLong, Refusal, documented, provider
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
DESCRIPTION_LIMIT = 100
QUOTA = 50
POLICIES_PER_DIRECTION = 100
REFERRED_GROUPS = 10

Direction = Literal["ingress", "egress"]


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule. Exactly one of `cidr`, `ipv6_cidr`, `group_id` names the peer."""

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
    """Policies in order of precedence. What no policy matches is dropped."""

    shapes_network: ClassVar[bool] = True

    name: str
    description: str
    project_id: str
    is_default: bool = False
    updated: float
    version: int = 0
    ingress: tuple[Policy, ...] = ()
    egress: tuple[Policy, ...] = ()

    def policies(self, direction: Direction) -> tuple[Policy, ...]:
        """The policies of one direction."""
        return self.ingress if direction == "ingress" else self.egress


class SecurityGroupNotFound(Refusal):
    """A security group that a request names must exist."""

    code = "ResourceNotFound"
    template = "The security group `{group_id}` does not exist."
    source = documented("DeleteSecurityGroup and the others: ResourceNotFound", page="215/15803")


class SecurityGroupQuota(Refusal):
    """A region holds at most 50 security groups."""

    code = "LimitExceeded"
    template = "The number of security groups has reached the limit {limit}."
    source = documented("VPC limits: 50 security groups in a region (215/41428: the same)", page="215/537")


class SecurityGroupInUse(Refusal):
    """A group that an interface or another group's policy uses is not deleted."""

    code = "ResourceInUse"
    template = "The security group `{group_id}` is in use by `{user}`."
    source = documented("DeleteSecurityGroup: not while a policy refers to it; ResourceInUse", page="215/15803")


class PolicyQuota(Refusal):
    """A group has at most 100 policies in each direction."""

    code = "LimitExceeded"
    template = "The security group `{group_id}` would have {count} {direction} policies; the limit is 100."
    source = documented("VPC limits: 100 in each direction; LimitExceeded (215/15807, 215/15810)", page="215/537")


class ReferredGroupsQuota(Refusal):
    """The policies of a group refer to at most 10 other groups."""

    code = "LimitExceeded"
    template = "The policies of security group `{group_id}` would refer to {count} groups; the limit is 10."
    source = documented("VPC limits: ids of 10 security groups in the policies of a group", page="215/537")


class VersionMismatch(Refusal):
    """A change of the whole rule set names the version that follows the present one (or none)."""

    code = "UnsupportedOperation.VersionMismatch"
    template = "The security group policies' version `{given}` does not follow the current version `{current}`."
    source = provider("sends the stored version + 1 (provider-api.md, security.GroupRuleSet); code in errorcodes.py")


class VersionStale(Refusal):
    """A change of single policies names the present version (or none)."""

    code = "UnsupportedOperation.VersionMismatch"
    template = "The security group policies' version is `{current}`, not `{given}`."
    source = documented(
        "DeleteSecurityGroupPolicies, 215/15807: UnsupportedOperation.VersionMismatch", page="215/15809"
    )


class DuplicatePolicy(Refusal):
    """A policy is not added or kept twice in one direction."""

    code = "UnsupportedOperation.DuplicatePolicy"
    template = "The security group policy is repeated: {policy}."
    source = documented("CreateSecurityGroupPolicies: UnsupportedOperation.DuplicatePolicy", page="215/15807")


class PolicyNotFound(Refusal):
    """A policy is removed or replaced only if it is there."""

    code = "ResourceNotFound"
    template = "The {direction} policy {policy} does not exist in security group `{group_id}`."
    source = documented("DeleteSecurityGroupPolicies: ResourceNotFound", page="215/15809")


class OneDirectionOnly(Refusal):
    """Policies are created, replaced and deleted in one direction at a time."""

    code = "InvalidParameter.Coexist"
    template = "Ingress and Egress can't be given together."
    source = documented(
        "CreateSecurityGroupPolicies: one direction in a request; InvalidParameter.Coexist", page="215/15807"
    )


def get(tx: Transaction, group_id: str) -> SecurityGroup:
    """The group. Raises SecurityGroupNotFound."""
    found = tx.find(SecurityGroup, group_id)
    if found is None:
        raise SecurityGroupNotFound(group_id=group_id)
    return found


def create(tx: Transaction, *, name: str, description: str, project_id: str, tags: tag.Tags) -> SecurityGroup:
    """A new group without policies: it lets nothing in and nothing out."""
    _check_texts(name, description)
    if len(tx.all(SecurityGroup)) >= QUOTA:
        raise SecurityGroupQuota(limit=QUOTA)
    group = tx.put(
        SecurityGroup(
            id=tx.new_id("sg"),
            region=tx.region,
            created=tx.now,
            updated=tx.now,
            name=name,
            description=description,
            project_id=project_id,
        )
    )
    tag.attach(tx, group.id, tags)
    return group


def _check_texts(name: str | None, description: str | None) -> None:
    if name is not None and len(name) > NAME_LIMIT:
        raise ParameterTooLong(name="GroupName", limit=NAME_LIMIT)
    if description is not None and len(description) > DESCRIPTION_LIMIT:
        raise ParameterTooLong(name="GroupDescription", limit=DESCRIPTION_LIMIT)


def modify(tx: Transaction, group_id: str, *, name: str | None, description: str | None) -> None:
    """Change what is given."""
    group = get(tx, group_id)
    _check_texts(name, description)
    tx.put(
        replace(
            group,
            name=group.name if name is None else name,
            description=group.description if description is None else description,
            updated=tx.now,
        )
    )


def delete(tx: Transaction, group_id: str) -> None:
    """Remove a group that nothing uses."""
    group = get(tx, group_id)
    for user in references.users(tx, group):
        raise SecurityGroupInUse(group_id=group_id, user=user)
    tag.detach_all(tx, group_id)
    tx.delete(group)


def replace_all(
    tx: Transaction,
    group_id: str,
    *,
    version: str,
    ingress: tuple[Policy, ...] | None,
    egress: tuple[Policy, ...] | None,
) -> None:
    """ModifySecurityGroupPolicies: a direction that is given replaces what was there.

    Version "0" empties the group, whatever else is given, and begins to count anew.
    """
    group = get(tx, group_id)
    if version == "0":
        tx.put(replace(group, ingress=(), egress=(), version=0, updated=tx.now))
        return
    if version and version != str(group.version + 1):
        raise VersionMismatch(given=version, current=group.version)
    changed = replace(
        group,
        ingress=group.ingress if ingress is None else ingress,
        egress=group.egress if egress is None else egress,
    )
    _keep(tx, changed)


def _keep(tx: Transaction, group: SecurityGroup) -> None:
    for direction in ("ingress", "egress"):
        policies = group.policies(direction)
        if len(policies) > POLICIES_PER_DIRECTION:
            raise PolicyQuota(group_id=group.id, count=len(policies), direction=direction)
        seen: set[tuple[str, ...]] = set()
        for policy in policies:
            if _essence(policy) in seen:
                raise DuplicatePolicy(policy=_in_words(policy))
            seen.add(_essence(policy))
            if policy.group_id:
                get(tx, policy.group_id)
    referred = {policy.group_id for policy in (*group.ingress, *group.egress) if policy.group_id}
    if len(referred) > REFERRED_GROUPS:
        raise ReferredGroupsQuota(group_id=group.id, count=len(referred))
    tx.put(replace(group, version=group.version + 1, updated=tx.now))


def _essence(policy: Policy) -> tuple[str, ...]:
    peer = policy.cidr or policy.ipv6_cidr or policy.group_id
    return (policy.protocol.upper(), policy.port.upper(), peer, policy.action)


def _in_words(policy: Policy) -> str:
    return " ".join(_essence(policy))


def check_version(tx: Transaction, group_id: str, version: str) -> None:
    """Raises VersionStale for a version that is given and is not the present one."""
    current = get(tx, group_id).version
    if version and version != str(current):
        raise VersionStale(given=version, current=current)


def insert(
    tx: Transaction, group_id: str, direction: Direction, policies: tuple[Policy, ...], index: int | None
) -> None:
    """CreateSecurityGroupPolicies: new policies stand at the index, without one behind all others."""
    group = get(tx, group_id)
    present = group.policies(direction)
    index = len(present) if index is None else index
    if not 0 <= index <= len(present):
        raise InvalidParameterValue(name="PolicyIndex", value=index, wanted=f"0 to {len(present)}")
    _keep(tx, _with(group, direction, (*present[:index], *policies, *present[index:])))


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
    doomed = {_essence(policy) for policy in policies}
    for policy in policies:
        if _essence(policy) not in {_essence(one) for one in present}:
            raise PolicyNotFound(direction=direction, policy=_in_words(policy), group_id=group_id)
    _keep(tx, _with(group, direction, tuple(policy for policy in present if _essence(policy) not in doomed)))


def put_at(tx: Transaction, group_id: str, direction: Direction, index: int, policy: Policy) -> None:
    """ReplaceSecurityGroupPolicy: one policy takes another's place."""
    group = get(tx, group_id)
    present = group.policies(direction)
    if not 0 <= index < len(present):
        raise PolicyNotFound(direction=direction, policy=index, group_id=group_id)
    _keep(tx, _with(group, direction, (*present[:index], policy, *present[index + 1 :])))


@references.uses(SecurityGroup)
def _in_policies(tx: Transaction, group_id: str) -> list[str]:
    return [
        group.id
        for group in tx.all(SecurityGroup)
        if group.id != group_id and any(policy.group_id == group_id for policy in (*group.ingress, *group.egress))
    ]
