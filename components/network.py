"""The VPC and subnet of the nodes, created or existing."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from tencentcloud_iac_pulumi import eip, nat, route, subnet, vpc

from components.labels import Labels
from settings.network import NetworkSettings

# The smallest value that the provider accepts; it is more than enough for 16 nodes.
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
            self._create(name, args)
        self.register_outputs({"vpc_id": self.vpc_id, "subnet_id": self.subnet_id})

    def _create(self, name: str, args: NetworkArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        labels, settings = args.labels, args.settings
        network = vpc.Instance(
            f"{name}-vpc",
            name=labels.name("vpc"),
            cidr_block=str(settings.vpc_cidr),
            # keepalived uses unicast VRRP, as the cloud requires for HAVIPs.
            is_multicast=False,
            tags=labels.tags,
            opts=child,
        )
        nodes_subnet = subnet.Instance(
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
        self.subnet_id = nodes_subnet.id
        if settings.egress == "nat":
            self._create_nat(name, args, child)

    def _create_nat(self, name: str, args: NetworkArgs, child: pulumi.ResourceOptions) -> None:
        labels = args.labels
        address = eip.Instance(
            f"{name}-nat-address",
            name=labels.name("nat"),
            internet_charge_type="TRAFFIC_POSTPAID_BY_HOUR",
            internet_max_bandwidth_out=args.settings.nat_bandwidth_mbps,
            tags=labels.tags,
            # External systems may allow the group by this address.
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
        default_route = route.TableEntry(
            f"{name}-default-route",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            next_type="NAT",
            next_hub=gateway.id,
            description="to the internet through the NAT gateway",
            opts=child,
        )
        # The subnet's routeTableId is left out, because this resource sets it.
        route.TableAssociation(
            f"{name}-routes-of-subnet",
            route_table_id=table.id,
            subnet_id=self.subnet_id,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[default_route]),
        )
