"""Route tables. The rules for next hops are in route.py."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import ClassVar

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import check_bytes, documented, rule
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
QUOTA = 10


@dataclass(frozen=True, slots=True)
class Route:
    """One route. The local route of the VPC has no record."""

    route_id: int
    item_id: str
    destination: IPv4Network
    gateway_type: str
    gateway_id: str
    description: str
    enabled: bool
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable(Record):
    """The routes for the associated subnets. Every VPC is created with a main route table."""

    affects_network_plan: ClassVar[bool] = True

    vpc_id: str
    name: str
    main: bool = False
    routes: tuple[Route, ...] = ()


_DELETE_ROUTE_TABLE = documented("DeleteRouteTable", page="215/15771")
RouteTableNotFound = rule(
    "ResourceNotFound",
    "RouteTableId must identify an existing route table.",
    documented("DeleteRouteTable; DescribeRouteTables (215/15763): RouteTableIds", page="215/15771"),
)
RouteTableQuota = rule(
    "LimitExceeded",
    "A VPC can have at most 10 route tables.",
    documented("VPC limits: 10 route tables for each VPC", page="215/537"),
)
MainRouteTableNotDeletable = rule(
    "UnsupportedOperation.DelDefaultRoute",
    "The main route table of a VPC cannot be deleted separately.",
    _DELETE_ROUTE_TABLE,
)
RouteTableHasSubnets = rule(
    "UnsupportedOperation.DelRouteWithSubnet",
    "A route table cannot be deleted while a subnet uses it.",
    _DELETE_ROUTE_TABLE,
)


def get(tx: Transaction, table_id: str) -> RouteTable:
    return tx.get(RouteTable, table_id, RouteTableNotFound)


def of_vpc(tx: Transaction, vpc_id: str) -> list[RouteTable]:
    """Return the route tables of the VPC, the main one first."""
    return [table for table in tx.all(RouteTable) if table.vpc_id == vpc_id]


def main_of(tx: Transaction, vpc_id: str) -> RouteTable:
    return next(table for table in of_vpc(tx, vpc_id) if table.main)


def create(tx: Transaction, requested: RouteTable, tags: tag.Tags) -> RouteTable:
    check_bytes("RouteTableName", requested.name, NAME_LIMIT)
    if len(of_vpc(tx, requested.vpc_id)) >= QUOTA:
        raise RouteTableQuota(vpc_id=requested.vpc_id)
    return tag.create(tx, "rtb", requested, tags)


def change(tx: Transaction, changed: RouteTable) -> None:
    check_bytes("RouteTableName", changed.name, NAME_LIMIT)
    tx.put(changed)


def delete(tx: Transaction, table_id: str) -> None:
    """Delete a route table. Raises: MainRouteTableNotDeletable, RouteTableHasSubnets."""
    table = get(tx, table_id)
    if table.main:
        raise MainRouteTableNotDeletable(table_id=table_id)
    for user in references.users(tx, table):
        raise RouteTableHasSubnets(table_id=table_id, subnet_id=user)
    tag.delete(tx, table)
