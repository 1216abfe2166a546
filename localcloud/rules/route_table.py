"""Route tables. Which next hop a route may name is decided in route.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import ClassVar

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, check_bytes, documented
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
QUOTA = 10


@dataclass(frozen=True, slots=True)
class Route:
    """One entry. The local route of the VPC is not among them."""

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
    """The routes of the subnets that are associated with it. Every VPC is born with a main one."""

    shapes_network: ClassVar[bool] = True

    vpc_id: str
    name: str
    main: bool
    routes: tuple[Route, ...] = ()


class RouteTableNotFound(Refusal):
    """A route table that a request names must exist."""

    code = "ResourceNotFound"
    template = "The route table `{table_id}` does not exist."
    source = documented("DeleteRouteTable: ResourceNotFound", page="215/15771")


class RouteTableQuota(Refusal):
    """A VPC has at most 10 route tables."""

    code = "LimitExceeded"
    template = "The number of route tables in VPC `{vpc_id}` has reached the limit {limit}."
    source = documented("VPC limits: 10 route tables for a VPC", page="215/537")


class MainRouteTableStays(Refusal):
    """A VPC's main route table goes only with its VPC."""

    code = "UnsupportedOperation.DelDefaultRoute"
    template = "The main route table `{table_id}` can't be deleted."
    source = documented("DeleteRouteTable: UnsupportedOperation.DelDefaultRoute", page="215/15771")


class RouteTableHasSubnets(Refusal):
    """A route table that a subnet is associated with is not deleted."""

    code = "UnsupportedOperation.DelRouteWithSubnet"
    template = "The route table `{table_id}` is associated with subnet `{subnet_id}`."
    source = documented("DeleteRouteTable: UnsupportedOperation.DelRouteWithSubnet", page="215/15771")


def get(tx: Transaction, table_id: str) -> RouteTable:
    """The table. Raises RouteTableNotFound."""
    found = tx.find(RouteTable, table_id)
    if found is None:
        raise RouteTableNotFound(table_id=table_id)
    return found


def of_vpc(tx: Transaction, vpc_id: str) -> list[RouteTable]:
    """The VPC's route tables, the main one first."""
    return [table for table in tx.all(RouteTable) if table.vpc_id == vpc_id]


def main_of(tx: Transaction, vpc_id: str) -> RouteTable:
    """The table that a VPC was born with."""
    return next(table for table in of_vpc(tx, vpc_id) if table.main)


def create(tx: Transaction, *, vpc_id: str, name: str, main: bool = False, tags: tag.Tags | None = None) -> RouteTable:
    """A new table without routes."""
    check_bytes("RouteTableName", name, NAME_LIMIT)
    if len(of_vpc(tx, vpc_id)) >= QUOTA:
        raise RouteTableQuota(vpc_id=vpc_id, limit=QUOTA)
    table = tx.put(
        RouteTable(id=tx.new_id("rtb"), region=tx.region, created=tx.now, vpc_id=vpc_id, name=name, main=main)
    )
    tag.attach(tx, table.id, tags or {})
    return table


def rename(tx: Transaction, table_id: str, name: str) -> None:
    """Give it another name."""
    table = get(tx, table_id)
    check_bytes("RouteTableName", name, NAME_LIMIT)
    tx.put(replace(table, name=name))


def delete(tx: Transaction, table_id: str) -> None:
    """Remove a table that is neither main nor used."""
    table = get(tx, table_id)
    if table.main:
        raise MainRouteTableStays(table_id=table_id)
    for user in references.users(tx, table):
        raise RouteTableHasSubnets(table_id=table_id, subnet_id=user)
    forget(tx, table)


def forget(tx: Transaction, table: RouteTable) -> None:
    """Remove a table together with its VPC."""
    tag.detach_all(tx, table.id)
    tx.delete(table)
