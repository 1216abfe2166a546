"""The virtual IP of the eligible nodes and its public address."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from tencentcloud_iac_pulumi import eip, ha

from components.hooks import Hooks, of_node
from components.labels import Labels
from components.network import Network
from components.nodes import Nodes
from settings.nodes import ELIGIBLE_NODES
from settings.virtual_ip import MAX_VIRTUAL_IPS, VirtualIpSettings

VIRTUAL_IP_NAMES = ("vip", *(f"vip{number}" for number in range(2, MAX_VIRTUAL_IPS + 1)))


@dataclass(frozen=True, slots=True)
class VirtualIpArgs:
    settings: VirtualIpSettings
    address: str  # one of the settings' addresses
    label: str  # one of VIRTUAL_IP_NAMES, for the names of the cloud resources
    nodes: Nodes
    network: Network
    hooks: Hooks
    protect: bool
    labels: Labels


class VirtualIp(pulumi.ComponentResource):
    """A HAVIP, the eligible nodes that may announce it, and the EIP bound to it."""

    address: pulumi.Output[str]
    public_ip: pulumi.Output[str]  # known after it is bound to the HAVIP

    def __init__(self, name: str, args: VirtualIpArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tandem:cloud:VirtualIp", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        havip = ha.Vip(
            f"{name}-havip",
            name=args.labels.name(args.label),
            vpc_id=args.network.vpc_id,
            subnet_id=args.network.subnet_id,
            vip=args.address,
            # Only attached instances may announce the address; other instances of the subnet cannot take it over.
            check_associate=True,
            # Created after the nodes: when the HAVIP is replaced, the delete hooks of its attachments must already know
            # which nodes this run has declared.
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=[args.nodes]),
        )
        for instance in args.nodes.instances[:ELIGIBLE_NODES]:
            args.hooks.declare_attachment(of_node(name, instance.name))
            ha.VipInstanceAttachment(
                of_node(name, instance.name),
                ha_vip_id=havip.id,
                instance_id=instance.instance_id,
                instance_type="CVM",
                # An attachment is identified by HAVIP and instance: deleting the old one would delete an equal new one.
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True, hooks=args.hooks.havip_attachment),
            )
        public = eip.Instance(
            f"{name}-address",
            name=args.labels.name(args.label),
            internet_charge_type=args.settings.charge_type,
            internet_max_bandwidth_out=args.settings.bandwidth_mbps,
            bandwidth_package_id=args.settings.bandwidth_package_id,
            tags=args.labels.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # The cloud cannot change these properties (document 215/43849), but the provider tries to.
                replace_on_changes=["internet_charge_type", "bandwidth_package_id"],
            ),
        )
        bound = ha.VipEipAttachment(
            f"{name}-binding",
            havip_id=havip.id,
            address_ip=public.public_ip,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(delete_before_replace=True)),
        )
        self.address = havip.vip
        self.public_ip = bound.address_ip
        self.register_outputs({"address": self.address, "public_ip": self.public_ip})
