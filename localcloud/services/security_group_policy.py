"""The ordered policies of security groups."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network

from localcloud.rules import ports, security_group
from localcloud.rules.records import beijing_time
from localcloud.rules.refusal import InvalidParameterValue, ParameterTooLong, documented, rule
from localcloud.rules.security_group import Direction, Policy
from localcloud.services.actions import Answer, Call, action
from localcloud.services.parameters import CidrMalformed, Parameters

PortWithoutProtocol = rule(
    "InvalidParameter.Coexist",
    "A policy can have ports only if its protocol is TCP or UDP.",
    documented("CreateSecurityGroupPolicies: Port only with TCP or UDP", page="215/15807"),
)
Ipv6NeedsIcmpV6 = rule(
    "InvalidParameter.Coexist",
    "A policy for an IPv6 range must have protocol ICMPV6 instead of ICMP.",
    documented("CreateSecurityGroupPolicies: Ipv6CidrBlock and ICMP are exclusive", page="215/15807"),
)
IndexNotPermitted = rule(
    "InvalidParameterValue.Range",
    "A request that replaces all policies must not have PolicyIndex; the order of the policies determines it.",
    documented("ModifySecurityGroupPolicies: no PolicyIndex is given", page="215/15810"),
)
PolicyMatchMixed = rule(
    "InvalidParameterValue",
    "Policies to delete must be identified by index, or by content with action, protocol, CIDR block and port.",
    documented("DeleteSecurityGroupPolicies: either the index or all four attributes", page="215/15809"),
)
OnePeer = rule(
    "InvalidParameter.Coexist",
    "A policy must have exactly one of CidrBlock, Ipv6CidrBlock and SecurityGroupId.",
    documented("CreateSecurityGroupPolicies: these are exclusive", page="215/15807"),
)

_PARSED = 1000
PROTOCOLS = ("TCP", "UDP", "ICMP", "ICMPV6", "GRE", "ALL")
_POLICY_RULES = (
    security_group.SecurityGroupNotFound,
    security_group.PolicyQuota,
    security_group.DuplicatePolicy,
    ports.PortMalformed,
    security_group.ReferredGroupsQuota,
    PortWithoutProtocol,
    Ipv6NeedsIcmpV6,
    OnePeer,
)


def _show_policy(index: int, policy: Policy) -> Answer:
    # Empty strings, not null: the provider reads SecurityGroupId only if Ipv6CidrBlock is not null.
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
    protocol = given.find_text("Protocol") or "ALL"
    if protocol.upper() not in PROTOCOLS:
        raise InvalidParameterValue(name="Protocol", value=protocol, expected=f"one of {', '.join(PROTOCOLS)}")
    port = given.find_text("Port") or "ALL"
    if ports.port_ranges(port) and protocol.upper() not in {"TCP", "UDP"}:
        raise PortWithoutProtocol(got=port, protocol=protocol)
    if protocol.upper() == "ICMP" and given.find_text("Ipv6CidrBlock"):
        raise Ipv6NeedsIcmpV6
    verdict = given.text("Action")
    if verdict.upper() not in {"ACCEPT", "DROP"}:
        raise InvalidParameterValue(name="Action", value=verdict, expected="ACCEPT or DROP")
    for template in ("ServiceTemplate", "AddressTemplate"):
        if any(given.inside(template).values.values()):
            raise InvalidParameterValue(
                name=template, value="...", expected="absent: localcloud does not support parameter templates"
            )
    peers = [name for name in ("CidrBlock", "Ipv6CidrBlock", "SecurityGroupId") if given.find_text(name)]
    if len(peers) != 1:
        raise OnePeer(got=" and ".join(peers) or "none")
    description = given.find_text("PolicyDescription") or ""
    if len(description) > security_group.DESCRIPTION_LIMIT:  # as that of a group; the page gives no number
        raise ParameterTooLong(name="PolicyDescription", limit=security_group.DESCRIPTION_LIMIT)
    return Policy(
        protocol=protocol,
        port=port,
        cidr=_cidr(given),
        ipv6_cidr=_ipv6_cidr(given),
        group_id=given.find_text("SecurityGroupId") or "",
        action=verdict.upper(),
        description=description,
        modified=call.tx.now,
    )


def _cidr(given: Parameters) -> str:
    text = given.find_text("CidrBlock") or ""
    if not text:
        return ""
    try:
        if "/" not in text:
            return str(IPv4Address(text))
        # Host bits are cleared, as in the console; 0.0.0.0/n becomes 0.0.0.0/0 (215/15824, SecurityGroupPolicy).
        block = IPv4Network(text, strict=False)
        return "0.0.0.0/0" if int(block.network_address) == 0 else str(block)
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
    # Above the quota, which has a separate code.
    return tuple(_policy(call, entry) for entry in given.each(name, limit=_PARSED))


@action("vpc", "DescribeSecurityGroupPolicies", security_group.SecurityGroupNotFound)
def describe_security_group_policies(call: Call, given: Parameters) -> Answer:
    """List a security group's policies in order."""
    found = security_group.get(call.tx, given.resource_id("SecurityGroupId", "sg"))
    return {
        "SecurityGroupPolicySet": {
            "Version": str(found.version),
            "Ingress": [_show_policy(index, policy) for index, policy in enumerate(found.ingress)],
            "Egress": [_show_policy(index, policy) for index, policy in enumerate(found.egress)],
        }
    }


@action("vpc", "ModifySecurityGroupPolicies", *_POLICY_RULES, security_group.VersionMismatch, IndexNotPermitted)
def modify_security_group_policies(call: Call, given: Parameters) -> None:
    """Replace all policies of the given directions."""
    group_id = given.resource_id("SecurityGroupId", "sg")
    requested = given.required_inside("SecurityGroupPolicySet")
    if any("PolicyIndex" in entry for name in ("Ingress", "Egress") for entry in requested.each(name, limit=_PARSED)):
        raise IndexNotPermitted
    security_group.replace_all(
        call.tx,
        group_id,
        version=requested.find_text("Version") or "",
        ingress=_policies(call, requested, "Ingress"),
        egress=_policies(call, requested, "Egress"),
    )


def _one_direction(given: Parameters) -> tuple[Direction, list[Parameters]]:
    requested = given.required_inside("SecurityGroupPolicySet")
    if requested.each("Ingress") and requested.each("Egress"):
        raise security_group.OneDirectionOnly
    if requested.each("Egress"):
        return "egress", requested.each("Egress")
    return "ingress", requested.required_each("Ingress")


@action(
    "vpc",
    "DeleteSecurityGroupPolicies",
    security_group.SecurityGroupNotFound,
    security_group.PolicyNotFound,
    security_group.VersionStale,
    security_group.OneDirectionOnly,
    PolicyMatchMixed,
)
def delete_security_group_policies(call: Call, given: Parameters) -> None:
    """Delete policies of one direction, by index or by content."""
    group_id = given.resource_id("SecurityGroupId", "sg")
    direction, entries = _one_direction(given)
    version = given.inside("SecurityGroupPolicySet").find_text("Version") or ""
    security_group.check_version(call.tx, group_id, version)
    by_index = {"PolicyIndex" in entry for entry in entries}
    if len(by_index) > 1:
        raise PolicyMatchMixed
    if by_index == {True}:
        indexes = tuple(entry.integer("PolicyIndex") for entry in entries)
        security_group.remove_at(call.tx, group_id, direction, indexes)
    else:
        if not all(name in entry for entry in entries for name in ("Action", "Protocol", "Port", "CidrBlock")):
            raise PolicyMatchMixed
        security_group.remove_equal(call.tx, group_id, direction, tuple(_policy(call, entry) for entry in entries))
