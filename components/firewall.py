"""Security groups with ordered, exclusive rule sets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pulumi
from tencentcloud_iac_pulumi import security

from components.hooks import Hooks
from components.labels import Labels
from settings.access import AccessSettings
from settings.nginx import NginxSettings
from settings.nodes import ELIGIBLE_NODES, NodesSettings


@dataclass(frozen=True, slots=True)
class FirewallArgs:
    nodes: NodesSettings
    access: AccessSettings
    nginx: NginxSettings
    hooks: Hooks
    labels: Labels


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that accepts traffic.

    Protocols are upper case: the provider reads them back in upper case, and lower case would show a permanent diff.
    """

    cidr: str
    protocol: Literal["TCP", "UDP", "ICMP", "ALL"]
    port: str  # "443", or "ALL"
    description: str


class Firewall(pulumi.ComponentResource):
    """A security group for the eligible nodes, one for the application nodes, and one for the bastion.

    A security group cannot name VRRP (protocol 112), so it accepts all protocols between the eligible nodes, and only
    TCP from application nodes. The packet filter on each node limits the ports between nodes (ADR 0005).
    """

    eligible_id: pulumi.Output[str]
    application_id: pulumi.Output[str] | None
    bastion_id: pulumi.Output[str] | None

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tandem:cloud:Firewall", name, None, opts)
        ssh = [Rule(cidr, "TCP", "22", "SSH") for cidr in ssh_sources(args.access)]
        services = [Rule(f"{node.address}/32", "TCP", "ALL", f"{node.name}: services") for node in args.nodes.members]
        heartbeats = [
            Rule(f"{node.address}/32", "ALL", "ALL", f"{node.name}: heartbeats and services")
            for node in args.nodes.members[:ELIGIBLE_NODES]
        ]
        web = [
            Rule("0.0.0.0/0", "TCP", "443", "clients"),
            Rule("0.0.0.0/0", "TCP", "80", "clients, redirected to 443"),
            *_streams(args.nginx),
        ]
        self.eligible_id = self._group(
            f"{name}-eligible",
            args,
            "eligible nodes",
            [*web, *ssh, *heartbeats, *services[ELIGIBLE_NODES:]],
        )
        self.application_id = None
        if len(args.nodes.members) > ELIGIBLE_NODES:
            self.application_id = self._group(
                f"{name}-application", args, "application nodes", [*ssh, *services, *_datagrams(args)]
            )
        self.bastion_id = None
        if args.access.mode == "bastion":
            from_admins = [Rule(str(cidr), "TCP", "22", "SSH") for cidr in args.access.admin_cidrs]
            self.bastion_id = self._group(f"{name}-bastion", args, "SSH bastion", from_admins)
        self.register_outputs({"eligible_id": self.eligible_id})

    def _group(self, name: str, args: FirewallArgs, description: str, ingress: Iterable[Rule]) -> pulumi.Output[str]:
        group = security.Group(
            name,
            name=args.labels.name(name),
            description=description,
            tags=args.labels.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        rules = security.GroupRuleSet(
            f"{name}-rules",
            security_group_id=group.id,
            # All other incoming traffic is dropped.
            ingresses=[_ingress(rule) for rule in ingress],
            egresses=[_egress(Rule("0.0.0.0/0", "ALL", "ALL", "outgoing"))],
            opts=pulumi.ResourceOptions(parent=self, hooks=args.hooks.rules),
        )
        # Nodes depend on the rules, not only on the group: without rules a node is unreachable.
        return rules.security_group_id


def _streams(nginx: NginxSettings) -> list[Rule]:
    """The ports of layer 4 load balancing."""
    return [
        Rule(str(cidr), "UDP" if stream.protocol == "udp" else "TCP", str(stream.port), "clients of a stream")
        for stream in nginx.streams
        for cidr in stream.allow or ("0.0.0.0/0",)
    ]


def _datagrams(args: FirewallArgs) -> list[Rule]:
    """What nginx sends to upstream servers over UDP."""
    return [
        Rule(f"{node.address}/32", "UDP", str(port), f"{node.name}: nginx")
        for node in args.nodes.members[:ELIGIBLE_NODES]
        for port in args.nginx.udp_ports()
    ]


def ssh_sources(access: AccessSettings) -> list[str]:
    """Return the networks from which nodes accept SSH."""
    if access.mode == "bastion":
        return [f"{access.bastion.address}/32"]
    return [str(cidr) for cidr in access.admin_cidrs]


def _ingress(rule: Rule) -> security.GroupRuleSetIngressArgs:
    return security.GroupRuleSetIngressArgs(
        action="ACCEPT", cidr_block=rule.cidr, protocol=rule.protocol, port=rule.port, description=rule.description
    )


def _egress(rule: Rule) -> security.GroupRuleSetEgressArgs:
    return security.GroupRuleSetEgressArgs(
        action="ACCEPT", cidr_block=rule.cidr, protocol=rule.protocol, port=rule.port, description=rule.description
    )
