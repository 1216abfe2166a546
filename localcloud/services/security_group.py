"""Security groups and their policies."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from localcloud.rules import instance, interface, ports, security_group
from localcloud.rules.records import beijing_time
from localcloud.rules.refusal import InvalidParameterValue, Refusal, documented
from localcloud.rules.security_group import Direction, Policy, SecurityGroup
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import chosen, page
from localcloud.services.parameters import CidrMalformed, Parameters


class PortWithoutProtocol(Refusal):
    """A policy has ports only where its protocol is TCP or UDP."""

    code = "InvalidParameterValue"
    template = "The port `{port}` can't be given for protocol {protocol}: use TCP or UDP, or port ALL."
    source = documented("the page of CreateSecurityGroupPolicies; no code is given there")


class OnePeer(Refusal):
    """A policy names its peer by one of CidrBlock, Ipv6CidrBlock and SecurityGroupId."""

    code = "InvalidParameter.Coexist"
    template = "A policy takes one of CidrBlock, Ipv6CidrBlock and SecurityGroupId; given: {given}."
    source = documented("the page of CreateSecurityGroupPolicies; code in errorcodes.py")


PROTOCOLS = ("TCP", "UDP", "ICMP", "ICMPV6", "GRE", "ALL")
_POLICY_RULES = (
    security_group.SecurityGroupNotFound,
    security_group.PolicyQuota,
    security_group.DuplicatePolicy,
    ports.PortMalformed,
    PortWithoutProtocol,
    OnePeer,
)


def show(call: Call, found: SecurityGroup) -> Answer:
    """A security group as answers show it."""
    return {
        "SecurityGroupId": found.id,
        "SecurityGroupName": found.name,
        "SecurityGroupDesc": found.description,
        "ProjectId": found.project_id,
        "IsDefault": found.is_default,
        "CreatedTime": beijing_time(found.created),
        "UpdateTime": beijing_time(found.updated),
        "TagSet": tagging.shown(call, found.id),
    }


def _show_policy(index: int, policy: Policy) -> Answer:
    # Empty strings, not absence: the provider reads SecurityGroupId only beside a non-null Ipv6CidrBlock.
    return {
        "PolicyIndex": index,
        "Protocol": policy.protocol,
        "Port": policy.port,
        "ServiceTemplate": {"ServiceId": "", "ServiceGroupId": ""},
        "CidrBlock": policy.cidr,
        "Ipv6CidrBlock": policy.ipv6_cidr,
        "SecurityGroupId": policy.group_id,
        "AddressTemplate": {"AddressId": "", "AddressGroupId": ""},
        "Action": policy.action,
        "PolicyDescription": policy.description,
        "ModifyTime": beijing_time(policy.modified),
    }


def _policy(call: Call, given: Parameters) -> Policy:
    """One policy as a request writes it."""
    protocol = given.find_text("Protocol") or "ALL"
    if protocol.upper() not in PROTOCOLS:
        raise InvalidParameterValue(name="Protocol", value=protocol, wanted=f"one of {', '.join(PROTOCOLS)}")
    port = given.find_text("Port") or "ALL"
    if ports.port_ranges(port) and protocol.upper() not in {"TCP", "UDP"}:
        raise PortWithoutProtocol(protocol=protocol, port=port)
    verdict = given.text("Action")
    if verdict.upper() not in {"ACCEPT", "DROP"}:
        raise InvalidParameterValue(name="Action", value=verdict, wanted="ACCEPT or DROP")
    for template in ("ServiceTemplate", "AddressTemplate"):
        if any(given.inside(template).values.values()):
            raise InvalidParameterValue(name=template, value="...", wanted="localcloud has no parameter templates")
    peers = [name for name in ("CidrBlock", "Ipv6CidrBlock", "SecurityGroupId") if given.find_text(name)]
    if len(peers) != 1:
        raise OnePeer(given=" and ".join(peers) or "none of them")
    return Policy(
        protocol=protocol,
        port=port,
        cidr=_cidr(given),
        ipv6_cidr=_ipv6_cidr(given),
        group_id=given.find_text("SecurityGroupId") or "",
        action=verdict.upper(),
        description=given.find_text("PolicyDescription") or "",
        modified=call.tx.now,
    )


def _cidr(given: Parameters) -> str:
    text = given.find_text("CidrBlock") or ""
    try:
        # Hosts may stand without a mask; bits behind the mask are taken off, as the real console does.
        return text and str(
            IPv4Network(text, strict=False) if "/" in text else IPv4Network(f"{text}/32").network_address
        )
    except ValueError:
        raise CidrMalformed(name="CidrBlock", value=text) from None


def _ipv6_cidr(given: Parameters) -> str:
    text = given.find_text("Ipv6CidrBlock") or ""
    try:
        return text and str(IPv6Network(text, strict=False))
    except ValueError:
        raise CidrMalformed(name="Ipv6CidrBlock", value=text) from None


def _policies(call: Call, given: Parameters, name: str) -> tuple[Policy, ...] | None:
    if name not in given:
        return None
    return tuple(_policy(call, entry) for entry in given.each(name))


@action("vpc", "CreateSecurityGroup", security_group.SecurityGroupQuota)
def create_security_group(call: Call) -> Answer:
    """Create a security group without policies."""
    given = call.parameters
    made = security_group.create(
        call.tx,
        name=given.text("GroupName"),
        description=given.text("GroupDescription"),
        project_id=given.find_text("ProjectId") or "0",
        tags=tagging.given(given),
    )
    return {"SecurityGroup": show(call, made)}


@action("vpc", "DescribeSecurityGroups")
def describe_security_groups(call: Call) -> Answer:
    """List security groups."""
    found = chosen(
        call,
        call.tx.all(SecurityGroup),
        {
            "security-group-id": lambda one: [one.id],
            "project-id": lambda one: [one.project_id],
            "security-group-name": lambda one: [one.name],
        },
        ids="SecurityGroupIds",
    )
    return {"TotalCount": len(found), "SecurityGroupSet": [show(call, one) for one in page(call, found)]}


@action("vpc", "ModifySecurityGroupAttribute", security_group.SecurityGroupNotFound)
def modify_security_group_attribute(call: Call) -> Answer:
    """Change a security group's name or description."""
    given = call.parameters
    security_group.modify(
        call.tx,
        given.text("SecurityGroupId"),
        name=given.find_text("GroupName"),
        description=given.find_text("GroupDescription"),
    )
    return {}


@action("vpc", "DeleteSecurityGroup", security_group.SecurityGroupNotFound, security_group.SecurityGroupInUse)
def delete_security_group(call: Call) -> Answer:
    """Delete a security group that nothing uses."""
    security_group.delete(call.tx, call.parameters.text("SecurityGroupId"))
    return {}


@action("vpc", "DescribeSecurityGroupPolicies", security_group.SecurityGroupNotFound)
def describe_security_group_policies(call: Call) -> Answer:
    """List a security group's policies in order."""
    found = security_group.get(call.tx, call.parameters.text("SecurityGroupId"))
    return {
        "SecurityGroupPolicySet": {
            "Version": str(found.version),
            "Ingress": [_show_policy(index, policy) for index, policy in enumerate(found.ingress)],
            "Egress": [_show_policy(index, policy) for index, policy in enumerate(found.egress)],
        }
    }


@action("vpc", "ModifySecurityGroupPolicies", *_POLICY_RULES, security_group.VersionMismatch)
def modify_security_group_policies(call: Call) -> Answer:
    """Replace all policies of the directions that are given."""
    given = call.parameters
    group_id = given.text("SecurityGroupId")
    wanted = given.required_inside("SecurityGroupPolicySet")
    security_group.replace_all(
        call.tx,
        group_id,
        version=wanted.find_text("Version") or "",
        ingress=_policies(call, wanted, "Ingress"),
        egress=_policies(call, wanted, "Egress"),
    )
    return {}


def _one_direction(given: Parameters) -> tuple[Direction, list[Parameters]]:
    wanted = given.required_inside("SecurityGroupPolicySet")
    if wanted.each("Ingress") and wanted.each("Egress"):
        raise security_group.OneDirectionOnly
    if wanted.each("Egress"):
        return "egress", wanted.each("Egress")
    return "ingress", wanted.required_each("Ingress")


@action(
    "vpc",
    "CreateSecurityGroupPolicies",
    *_POLICY_RULES,
    security_group.VersionStale,
    security_group.OneDirectionOnly,
)
def create_security_group_policies(call: Call) -> Answer:
    """Insert policies of one direction at an index, or behind all others."""
    group_id = call.parameters.text("SecurityGroupId")
    direction, entries = _one_direction(call.parameters)
    version = call.parameters.inside("SecurityGroupPolicySet").find_text("Version") or ""
    security_group.check_version(call.tx, group_id, version)
    policies = tuple(_policy(call, entry) for entry in entries)
    security_group.insert(call.tx, group_id, direction, policies, entries[0].find_integer("PolicyIndex"))
    return {}


@action(
    "vpc",
    "DeleteSecurityGroupPolicies",
    security_group.SecurityGroupNotFound,
    security_group.PolicyNotFound,
    security_group.VersionStale,
    security_group.OneDirectionOnly,
)
def delete_security_group_policies(call: Call) -> Answer:
    """Delete policies of one direction, by index or by content."""
    group_id = call.parameters.text("SecurityGroupId")
    direction, entries = _one_direction(call.parameters)
    version = call.parameters.inside("SecurityGroupPolicySet").find_text("Version") or ""
    security_group.check_version(call.tx, group_id, version)
    if "PolicyIndex" in entries[0]:
        indexes = tuple(entry.integer("PolicyIndex") for entry in entries)
        security_group.remove_at(call.tx, group_id, direction, indexes)
    else:
        security_group.remove_equal(call.tx, group_id, direction, tuple(_policy(call, entry) for entry in entries))
    return {}


@action(
    "vpc",
    "ReplaceSecurityGroupPolicy",
    *_POLICY_RULES,
    security_group.PolicyNotFound,
    security_group.VersionStale,
    security_group.OneDirectionOnly,
)
def replace_security_group_policy(call: Call) -> Answer:
    """Put one policy in the place of another."""
    group_id = call.parameters.text("SecurityGroupId")
    direction, entries = _one_direction(call.parameters)
    version = call.parameters.inside("SecurityGroupPolicySet").find_text("Version") or ""
    security_group.check_version(call.tx, group_id, version)
    index = entries[0].integer("PolicyIndex")
    security_group.put_at(call.tx, group_id, direction, index, _policy(call, entries[0]))
    return {}


@action("vpc", "DescribeSecurityGroupAssociationStatistics", security_group.SecurityGroupNotFound)
def describe_security_group_association_statistics(call: Call) -> Answer:
    """Count what uses each security group."""
    return {
        "SecurityGroupAssociationStatisticsSet": [
            _statistics(call, security_group.get(call.tx, group_id))
            for group_id in call.parameters.required_texts("SecurityGroupIds")
        ]
    }


def _statistics(call: Call, group: SecurityGroup) -> Answer:
    cards = [card for card in call.tx.all(interface.Interface) if group.id in card.group_ids]
    machines = {card.instance_id for card in cards if card.primary} & {one.id for one in call.tx.all(instance.Instance)}
    loose = [card for card in cards if not card.primary]
    nested = [
        one
        for one in call.tx.all(SecurityGroup)
        if one.id != group.id and any(policy.group_id == group.id for policy in (*one.ingress, *one.egress))
    ]
    return {
        "SecurityGroupId": group.id,
        "CVM": len(machines),
        "ENI": len(loose),
        "SG": len(nested),
        "TotalCount": len(machines) + len(loose),
        "InstanceStatistics": [{"InstanceType": "CVM", "InstanceCount": len(machines)}] if machines else [],
    }
