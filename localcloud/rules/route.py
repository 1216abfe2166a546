"""Routes of route tables and the rules for their next hops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

from localcloud.rules import havip, interface, nat, references, route_table, vpc
from localcloud.rules.records import Record
from localcloud.rules.refusal import assumed, documented, rule
from localcloud.rules.route_table import Route, RouteTable
from localcloud.rules.transaction import Transaction

QUOTA = 50

RouteNotFound = rule(
    "ResourceNotFound",
    "A route to change or delete must exist in the route table.",
    documented("DeleteRoutes (and 215/19215, 215/19216, 215/15764)", page="215/16725"),
)
RouteQuota = rule(
    "LimitExceeded",
    "A route table can have at most 50 routes.",
    documented("VPC limits: 50 routes for each route table", page="215/537"),
)
NextHopInvalid = rule(
    "InvalidParameterValue.RouteNextHopInvalid",
    "A next hop must exist in the VPC of the route table: NORMAL_CVM is a private address, and EIP is `0`.",
    documented("CreateRoutes, data type Route (215/15824): GatewayId", page="215/16724"),
)
NextHopTypeUnsupported = rule(
    "UnsupportedOperation.NotSupportRouteType",
    "The type of a next hop must be NAT, NORMAL_CVM, EIP or HAVIP, the types that localcloud supports.",
    assumed("limit of localcloud; Tencent Cloud has more types"),
)
DestinationInVpc = rule(
    "InvalidParameterValue.VpcCidrConflict",
    "The destination of a route must be outside the CIDR blocks of the VPC.",
    documented("CreateRoutes: DestinationCidrBlock is not inside the VPC", page="215/16724"),
)
DestinationTaken = rule(
    "UnsupportedOperation.Ecmp",
    "A route table must not have two routes to one destination.",
    documented("CreateRoutes, EnableRoutes (215/19215)", page="215/16724"),
)


def _nat_in(tx: Transaction, vpc_id: str, gateway_id: str) -> bool:
    found = tx.find(nat.NatGateway, gateway_id)
    return found is not None and found.vpc_id == vpc_id


def _machine_in(tx: Transaction, vpc_id: str, gateway_id: str) -> bool:
    """Find the next hop of NORMAL_CVM by its private address."""
    return any(eni.vpc_id == vpc_id and str(eni.address) == gateway_id for eni in tx.all(interface.Interface))


def _havip_in(tx: Transaction, vpc_id: str, gateway_id: str) -> bool:
    return any(vip.vpc_id == vpc_id and gateway_id in {vip.id, str(vip.address)} for vip in tx.all(havip.HaVip))


def _own_address(_tx: Transaction, _vpc_id: str, gateway_id: str) -> bool:
    """Next hop of type EIP: the public address of the instance itself."""
    return gateway_id == "0"


_NEXT_HOPS: dict[str, Callable[[Transaction, str, str], bool]] = {
    "NAT": _nat_in,
    "NORMAL_CVM": _machine_in,
    "HAVIP": _havip_in,
    "EIP": _own_address,
}


def _check(tx: Transaction, table: RouteTable, route: Route) -> None:
    next_hop = _NEXT_HOPS.get(route.gateway_type)
    if next_hop is None:
        raise NextHopTypeUnsupported(got=route.gateway_type)
    if not next_hop(tx, table.vpc_id, route.gateway_id):
        raise NextHopInvalid(got=route.gateway_id, gateway_type=route.gateway_type, vpc_id=table.vpc_id)
    for cidr in vpc.get(tx, table.vpc_id).cidrs:
        if route.destination.subnet_of(cidr):
            raise DestinationInVpc(destination=route.destination, cidr=cidr)
    for other in table.routes:
        if other.destination == route.destination and other.route_id != route.route_id:
            raise DestinationTaken(table_id=table.id, destination=route.destination)


def add(tx: Transaction, table_id: str, requested: tuple[Route, ...]) -> tuple[RouteTable, tuple[Route, ...]]:
    """Add routes and assign their IDs. Returns the table and the new routes."""
    table = route_table.get(tx, table_id)
    added: list[Route] = []
    for route in requested:
        if len(table.routes) >= QUOTA:
            raise RouteQuota(table_id=table_id)
        made = replace(route, route_id=1000 + tx.count("route"), item_id=tx.new_id("rti"), created=tx.now)
        _check(tx, table, made)
        table = tx.put(replace(table, routes=(*table.routes, made)))
        added.append(made)
    return table, tuple(added)


def find(table: RouteTable, route_id: int, item_id: str) -> Route:
    """Return the route with that number or item ID. Raises: RouteNotFound."""
    for route in table.routes:
        if route.route_id == route_id or (item_id and route.item_id == item_id):
            return route
    raise RouteNotFound(got=item_id or route_id, table_id=table.id)


def remove(tx: Transaction, table_id: str, removed: tuple[Route, ...]) -> None:
    table = route_table.get(tx, table_id)
    ids = {one.route_id for one in removed}
    tx.put(replace(table, routes=tuple(route for route in table.routes if route.route_id not in ids)))


def switch(tx: Transaction, table_id: str, route_ids: tuple[int, ...], item_ids: tuple[str, ...], *, on: bool) -> None:
    table = route_table.get(tx, table_id)
    meant = {find(table, route_id, "").route_id for route_id in route_ids}
    meant |= {find(table, -1, item_id).route_id for item_id in item_ids}
    routes = tuple(replace(route, enabled=on) if route.route_id in meant else route for route in table.routes)
    tx.put(replace(table, routes=routes))


@references.on_release(nat.NatGateway)
def _gateway_deleted(tx: Transaction, deleted: Record) -> None:
    for table in tx.all(RouteTable):
        kept = tuple(route for route in table.routes if (route.gateway_type, route.gateway_id) != ("NAT", deleted.id))
        if kept != table.routes:
            tx.put(replace(table, routes=kept))


@references.uses(havip.HaVip)
def _through_havip(tx: Transaction, havip_id: str) -> list[str]:
    address: IPv4Address = havip.get(tx, havip_id).address
    return [
        table.id
        for table in tx.all(RouteTable)
        if any(route.gateway_type == "HAVIP" and route.gateway_id in {havip_id, str(address)} for route in table.routes)
    ]
