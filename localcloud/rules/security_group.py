"""Security groups with versioned, ordered policies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import ParameterTooLong, Refusal, documented, provider
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
    updated: float
    version: int = 0
    ingress: tuple[Policy, ...] = ()
    egress: tuple[Policy, ...] = ()

    def policies(self, direction: Direction) -> tuple[Policy, ...]:
        """Return the policies of one direction."""
        return self.ingress if direction == "ingress" else self.egress


class SecurityGroupNotFound(Refusal):
    """SecurityGroupId must identify an existing security group."""

    code = "ResourceNotFound"
    template = "SecurityGroupId must identify an existing security group (got `{group_id}`)."
    source = documented("DeleteSecurityGroup and other actions on security groups: ResourceNotFound", page="215/15803")


class SecurityGroupQuota(Refusal):
    """A region can have at most 50 security groups."""

    code = "LimitExceeded"
    template = "A region cannot have more than {limit} security groups."
    source = documented("VPC limits: 50 security groups in a region (also in 215/41428)", page="215/537")


class SecurityGroupInUse(Refusal):
    """A security group cannot be deleted while an interface or a policy of another group uses it."""

    code = "ResourceInUse"
    template = "The security group `{group_id}` cannot be deleted while `{user}` uses it."
    source = documented("DeleteSecurityGroup: no policy may refer to the group; ResourceInUse", page="215/15803")


class PolicyQuota(Refusal):
    """A security group can have at most 100 policies in each direction."""

    code = "LimitExceeded"
    template = "The security group `{group_id}` cannot have more than 100 {direction} policies (got {count})."
    source = documented("VPC limits: 100 in each direction; LimitExceeded (215/15807, 215/15810)", page="215/537")


class ReferredGroupsQuota(Refusal):
    """The policies of a security group can refer to at most 10 other groups."""

    code = "LimitExceeded"
    template = "The policies of security group `{group_id}` cannot refer to more than 10 groups (got {count})."
    source = documented("VPC limits: IDs of 10 security groups in the policies of a group", page="215/537")


class VersionMismatch(Refusal):
    """The Version in a request that replaces all policies must be the current version + 1 or absent."""

    code = "UnsupportedOperation.VersionMismatch"
    template = "Version must be the current version `{current}` + 1 (got `{given}`)."
    source = provider("sends the stored version + 1 (observed with 1.82.42); code in errorcodes.py")


class VersionStale(Refusal):
    """The Version in a request that deletes single policies must be the current version or absent."""

    code = "UnsupportedOperation.VersionMismatch"
    template = "Version must be the current version `{current}` (got `{given}`)."
    source = documented(
        "DeleteSecurityGroupPolicies, 215/15807: UnsupportedOperation.VersionMismatch", page="215/15809"
    )


class DuplicatePolicy(Refusal):
    """A security group must not have two equal policies in one direction."""

    code = "UnsupportedOperation.DuplicatePolicy"
    template = "The security group policy must not be repeated: {policy}."
    source = documented("CreateSecurityGroupPolicies: UnsupportedOperation.DuplicatePolicy", page="215/15807")


class PolicyNotFound(Refusal):
    """A policy to delete must exist."""

    code = "ResourceNotFound"
    template = "The {direction} policy must exist in security group `{group_id}` (got {policy})."
    source = documented("DeleteSecurityGroupPolicies: ResourceNotFound", page="215/15809")


class OneDirectionOnly(Refusal):
    """A request to delete policies must have either Ingress or Egress."""

    code = "InvalidParameter.Coexist"
    template = "The request must have Ingress or Egress, not both."
    source = documented(
        "DeleteSecurityGroupPolicies: one direction in a request; InvalidParameter.Coexist", page="215/15809"
    )


def get(tx: Transaction, group_id: str) -> SecurityGroup:
    """Return the security group. Raises: SecurityGroupNotFound."""
    found = tx.find(SecurityGroup, group_id)
    if found is None:
        raise SecurityGroupNotFound(group_id=group_id)
    return found


def create(tx: Transaction, *, name: str, description: str, project_id: str, tags: tag.Tags) -> SecurityGroup:
    """Create a security group without policies, which blocks all traffic in both directions."""
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
    """Change the given attributes; None leaves an attribute unchanged."""
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
    """Delete an unused security group. Raises: SecurityGroupInUse."""
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
    """ModifySecurityGroupPolicies: replace all policies of each given direction.

    Version "0" removes all policies, ignores the given ones, and resets the version counter.
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
                raise DuplicatePolicy(policy=_describe(policy))
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


def _describe(policy: Policy) -> str:
    return " ".join(_essence(policy))


def check_version(tx: Transaction, group_id: str, version: str) -> None:
    """Raises: VersionStale if a version is given and differs from the current one."""
    current = get(tx, group_id).version
    if version and version != str(current):
        raise VersionStale(given=version, current=current)


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
