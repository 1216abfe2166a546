"""The VPC and subnet that the nodes live in, new or given."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from tencentcloud_iac_pulumi import eip, nat, route, subnet, vpc

from components.labels import Labels
from settings.network import NetworkSettings

# What the provider allows a NAT gateway to have; the smallest serves 16 nodes by far.
_NAT_CONNECTIONS = 1_000_000


@dataclass(frozen=True, slots=True)
class NetworkArgs:
    settings: NetworkSettings
    protect: bool
    labels: Labels


class Network(pulumi.ComponentResource):
    """One VPC with one subnet in one zone; with `egress: nat` also a NAT gateway and the route to it."""

    vpc_id: pulumi.Output[str]
    subnet_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tandem:cloud:Network", name, None, opts)
        if args.settings.existing is not None:
            self.vpc_id = pulumi.Output.from_input(args.settings.existing.vpc_id)
            self.subnet_id = pulumi.Output.from_input(args.settings.existing.subnet_id)
        else:
            self._make(name, args)
        self.register_outputs({"vpc_id": self.vpc_id, "subnet_id": self.subnet_id})

    def _make(self, name: str, args: NetworkArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        labels, settings = args.labels, args.settings
        network = vpc.Instance(
            f"{name}-vpc",
            name=labels.name("vpc"),
            cidr_block=str(settings.vpc_cidr),
            # VRRP runs unicast here, as the cloud asks for HAVIP.
            is_multicast=False,
            tags=labels.tags,
            opts=child,
        )
        part = subnet.Instance(
            f"{name}-subnet",
            name=labels.name("subnet"),
            vpc_id=network.id,
            availability_zone=settings.zone,
            cidr_block=str(settings.subnet_cidr),
            is_multicast=False,
            tags=labels.tags,
            opts=child,
        )
        self.vpc_id = network.id
        self.subnet_id = part.id
        if settings.egress == "nat":
            self._make_way_out(name, args, child)

    def _make_way_out(self, name: str, args: NetworkArgs, child: pulumi.ResourceOptions) -> None:
        labels = args.labels
        address = eip.Instance(
            f"{name}-nat-address",
            name=labels.name("nat"),
            internet_charge_type="TRAFFIC_POSTPAID_BY_HOUR",
            internet_max_bandwidth_out=args.settings.nat_bandwidth_mbps,
            tags=labels.tags,
            # Others know the group by this address.
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        gateway = nat.Gateway(
            f"{name}-nat",
            name=labels.name("nat"),
            vpc_id=self.vpc_id,
            bandwidth=args.settings.nat_bandwidth_mbps,
            max_concurrent=_NAT_CONNECTIONS,
            assigned_eip_sets=[address.public_ip],
            tags=labels.tags,
            opts=child,
        )
        table = route.Table(
            f"{name}-routes", name=labels.name("routes"), vpc_id=self.vpc_id, tags=labels.tags, opts=child
        )
        way_out = route.TableEntry(
            f"{name}-way-out",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            next_type="NAT",
            next_hub=gateway.id,
            description="to the internet through the NAT gateway",
            opts=child,
        )
        # The subnet's own routeTableId is left out: this resource is the one that sets it.
        route.TableAssociation(
            f"{name}-routes-of-subnet",
            route_table_id=table.id,
            subnet_id=self.subnet_id,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[way_out]),
        )
