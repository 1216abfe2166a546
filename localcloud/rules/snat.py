"""SNAT rules of NAT gateways: the public addresses for outbound traffic of a subnet or an interface."""

from __future__ import annotations

from dataclasses import replace

from localcloud.rules import instance, interface, nat, nat_addresses, subnet
from localcloud.rules.nat import NatGateway, SnatRule
from localcloud.rules.refusal import InvalidParameterValue, documented, rule
from localcloud.rules.transaction import Transaction

LIMIT = 200

_CREATE_RULE = documented("CreateNatGatewaySourceIpTranslationNatRule", page="215/52622")
AddressNotOnGateway = rule(
    "UnsupportedOperation.NatGatewayEipNotExists",
    "An EIP of a SNAT rule must be bound to the NAT gateway.",
    _CREATE_RULE,
)
SnatRuleExists = rule(
    "InvalidParameterValue.NatSnatRuleExists",
    "A subnet or interface can have only one SNAT rule on a NAT gateway.",
    _CREATE_RULE,
)
SnatRuleQuota = rule(
    "LimitExceeded",
    "A NAT gateway can have at most 200 SNAT rules.",
    documented("NAT gateway limits: 200 SNAT rules (code of 215/52622)", page="intl:1015/30230"),
)
SnatRuleNotFound = rule(
    "InvalidParameterValue.NatGatewaySnatRuleNotExists",
    "NatGatewaySnatId must identify an existing SNAT rule of the NAT gateway.",
    documented("DeleteNatGatewaySourceIpTranslationNatRule", page="215/52621"),
)
SnatRuleFixed = rule(
    "InvalidParameterValue",
    "Only the public addresses and the description of a SNAT rule can be changed.",
    documented("ModifyNatGatewaySourceIpTranslationNatRule: SourceIpTranslationNatRule", page="215/52619"),
)
SnatOfOtherVpc = rule(
    "InvalidParameterValue",
    "The subnet or interface of a SNAT rule must be in the VPC of the NAT gateway.",
    _CREATE_RULE,
)


def _check_rule(tx: Transaction, gateway: NatGateway, rule: SnatRule) -> None:
    if rule.resource_type == "SUBNET":
        vpc_id = subnet.get(tx, rule.resource_id).vpc_id
    elif rule.resource_type == "NETWORKINTERFACE":
        if rule.resource_id.startswith("eni-"):
            vpc_id = interface.get(tx, rule.resource_id).vpc_id
        else:
            vpc_id = instance.get(tx, rule.resource_id).vpc_id
    else:
        raise InvalidParameterValue(
            name="ResourceType", value=rule.resource_type, expected="SUBNET or NETWORKINTERFACE"
        )
    if vpc_id != gateway.vpc_id:
        raise SnatOfOtherVpc(resource_id=rule.resource_id, vpc_id=gateway.vpc_id, gateway_id=gateway.id)
    own = {str(address.ip) for address in nat_addresses.of_gateway(tx, gateway.id)}
    for ip in rule.public_addresses:
        if ip not in own:
            raise AddressNotOnGateway(ip=ip, gateway_id=gateway.id)


def add_rule(tx: Transaction, gateway_id: str, rule: SnatRule) -> None:
    gateway = nat.get_ready(tx, gateway_id)
    _check_rule(tx, gateway, rule)
    for other in gateway.rules:
        if (other.resource_id, other.private_address) == (rule.resource_id, rule.private_address):
            raise SnatRuleExists(gateway_id=gateway_id, resource_id=rule.resource_id)
    if len(gateway.rules) >= LIMIT:
        raise SnatRuleQuota(gateway_id=gateway_id)
    made = replace(rule, rule_id=tx.new_id("snat"), created=tx.now)
    tx.put(replace(gateway, rules=(*gateway.rules, made)))


def _source_of(rule: SnatRule) -> tuple[str, str, str]:
    return rule.resource_type, rule.resource_id, rule.private_address


def change_rule(tx: Transaction, gateway_id: str, rule: SnatRule) -> None:
    gateway = nat.get_ready(tx, gateway_id)
    current = next((other for other in gateway.rules if other.rule_id == rule.rule_id), None)
    if current is None:
        raise SnatRuleNotFound(got=rule.rule_id, gateway_id=gateway_id)
    if _source_of(rule) != _source_of(current):
        raise SnatRuleFixed(rule_id=current.rule_id, resource_id=current.resource_id)
    _check_rule(tx, gateway, rule)
    kept = tuple(
        replace(rule, created=other.created) if other.rule_id == rule.rule_id else other for other in gateway.rules
    )
    tx.put(replace(gateway, rules=kept))


def remove_rules(tx: Transaction, gateway_id: str, rule_ids: tuple[str, ...]) -> None:
    gateway = nat.get_ready(tx, gateway_id)
    for rule_id in rule_ids:
        if all(other.rule_id != rule_id for other in gateway.rules):
            raise SnatRuleNotFound(got=rule_id, gateway_id=gateway_id)
    tx.put(replace(gateway, rules=tuple(rule for rule in gateway.rules if rule.rule_id not in rule_ids)))
