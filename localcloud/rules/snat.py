"""SNAT rules of NAT gateways: which public addresses a subnet or an interface leaves by."""

from __future__ import annotations

from dataclasses import replace

from localcloud.rules import instance, interface, nat, subnet
from localcloud.rules.nat import NatGateway, SnatRule
from localcloud.rules.refusal import InvalidParameterValue
from localcloud.rules.transaction import Transaction


def _check_rule(tx: Transaction, gateway: NatGateway, rule: SnatRule) -> None:
    if rule.resource_type == "SUBNET":
        vpc_id = subnet.get(tx, rule.resource_id).vpc_id
    elif rule.resource_type == "NETWORKINTERFACE":
        if rule.resource_id.startswith("eni-"):
            vpc_id = interface.get(tx, rule.resource_id).vpc_id
        else:
            vpc_id = instance.get(tx, rule.resource_id).vpc_id
    else:
        raise InvalidParameterValue(name="ResourceType", value=rule.resource_type, wanted="SUBNET or NETWORKINTERFACE")
    if vpc_id != gateway.vpc_id:
        raise nat.SnatOfOtherVpc(resource_id=rule.resource_id, vpc_id=gateway.vpc_id, gateway_id=gateway.id)
    own = {str(one.ip) for one in nat.addresses(tx, gateway.id)}
    for ip in rule.public_addresses:
        if ip not in own:
            raise nat.AddressNotOnGateway(ip=ip, gateway_id=gateway.id)


def add_rule(tx: Transaction, gateway_id: str, rule: SnatRule) -> None:
    """A new SNAT rule; its id is given here."""
    gateway = nat.get_ready(tx, gateway_id)
    _check_rule(tx, gateway, rule)
    for other in gateway.rules:
        if (other.resource_id, other.private_address) == (rule.resource_id, rule.private_address):
            raise nat.SnatRuleExists(gateway_id=gateway_id, resource_id=rule.resource_id)
    made = replace(rule, rule_id=tx.new_id("snat"), created=tx.now)
    tx.put(replace(gateway, rules=(*gateway.rules, made)))


def change_rule(tx: Transaction, gateway_id: str, rule: SnatRule) -> None:
    """The rule with the same id becomes this one."""
    gateway = nat.get_ready(tx, gateway_id)
    if all(other.rule_id != rule.rule_id for other in gateway.rules):
        raise nat.SnatRuleNotFound(rule_id=rule.rule_id, gateway_id=gateway_id)
    _check_rule(tx, gateway, rule)
    kept = tuple(
        replace(rule, created=other.created) if other.rule_id == rule.rule_id else other for other in gateway.rules
    )
    tx.put(replace(gateway, rules=kept))


def remove_rules(tx: Transaction, gateway_id: str, rule_ids: tuple[str, ...]) -> None:
    """Take SNAT rules away."""
    gateway = nat.get_ready(tx, gateway_id)
    for rule_id in rule_ids:
        if all(other.rule_id != rule_id for other in gateway.rules):
            raise nat.SnatRuleNotFound(rule_id=rule_id, gateway_id=gateway_id)
    tx.put(replace(gateway, rules=tuple(rule for rule in gateway.rules if rule.rule_id not in rule_ids)))
