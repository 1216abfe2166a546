"""Route tables and routes."""

from __future__ import annotations

from localcloud.rules import references, route, route_table, vpc
from localcloud.rules.records import beijing_time, changed
from localcloud.rules.refusal import check_count, documented, rule
from localcloud.rules.route_table import Route, RouteTable
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownFilter, flag, listed
from localcloud.services.parameters import Parameters

_ROUTE_RULES = (
    route_table.RouteTableNotFound,
    route.NextHopInvalid,
    route.NextHopTypeUnsupported,
    route.DestinationInVpc,
    route.DestinationTaken,
)
RouteNotIdentified = rule(
    "MissingParameter",
    "A route must be identified by RouteId or RouteItemId.",
    documented("DeleteRoutes: RouteId or RouteItemId; EnableRoutes: one of both", page="215/16725"),
)
RouteIdsAndItemIds = rule(
    "InvalidParameter.Coexist",
    "Routes to enable or disable must be identified by either RouteIds or RouteItemIds.",
    documented("EnableRoutes, DisableRoutes (215/19216): not both", page="215/19215"),
)


def _show_route(table: RouteTable, one: Route) -> Answer:
    return {
        "RouteId": one.route_id,
        "RouteItemId": one.item_id,
        "DestinationCidrBlock": str(one.destination),
        "GatewayType": one.gateway_type,
        "GatewayId": one.gateway_id,
        "RouteDescription": one.description,
        "Enabled": one.enabled,
        "RouteType": "USER",
        "RouteTableId": table.id,
        "CreatedTime": beijing_time(one.created),
    }


def show(call: Call, table: RouteTable, routes: tuple[Route, ...] | None = None) -> Answer:
    return {
        "RouteTableId": table.id,
        "RouteTableName": table.name,
        "VpcId": table.vpc_id,
        "Main": table.main,
        "CreatedTime": beijing_time(table.created),
        "AssociationSet": [
            {"SubnetId": subnet_id, "RouteTableId": table.id} for subnet_id in references.users(call.tx, table)
        ],
        "RouteSet": [_show_route(table, one) for one in (table.routes if routes is None else routes)],
        "TagSet": tagging.shown(call, table.id),
    }


def _parse_route(given: Parameters) -> Route:
    return Route(
        route_id=given.find_integer("RouteId") or 0,
        item_id=given.find_text("RouteItemId") or "",
        destination=given.cidr("DestinationCidrBlock"),
        gateway_type=given.text("GatewayType"),
        gateway_id=given.text("GatewayId"),
        description=given.find_text("RouteDescription") or "",
        enabled=given.flag("Enabled", default=True),
        created=0.0,
    )


@action("vpc", "CreateRouteTable", vpc.VpcNotFound, route_table.RouteTableQuota)
def create_route_table(call: Call, given: Parameters) -> Answer:
    """Create a route table."""
    vpc_id, name = given.resource_id("VpcId", "vpc"), given.text("RouteTableName")
    requested = RouteTable(vpc_id=vpc.get(call.tx, vpc_id).id, name=name)
    return {"RouteTable": show(call, route_table.create(call.tx, requested, tagging.given(given)))}


@action("vpc", "DescribeRouteTables", route_table.RouteTableNotFound, UnknownFilter)
def describe_route_tables(call: Call, _given: Parameters) -> Answer:
    """List route tables and their routes."""
    filters: Filters[RouteTable] = {
        "route-table-id": lambda one: [one.id],
        "route-table-name": lambda one: [one.name],
        "vpc-id": lambda one: [one.vpc_id],
        "association.main": lambda one: flag(one.main),
        "next-hop-type": lambda one: [entry.gateway_type for entry in one.routes],
    }
    return listed(
        call, "RouteTableSet", RouteTable, show, filters, ids="RouteTableIds", missing=route_table.RouteTableNotFound
    )


@action("vpc", "ModifyRouteTableAttribute", route_table.RouteTableNotFound)
def modify_route_table_attribute(call: Call, given: Parameters) -> None:
    """Rename a route table."""
    present = route_table.get(call.tx, given.resource_id("RouteTableId", "rtb"))
    route_table.change(call.tx, changed(present, {"name": given.find_text("RouteTableName")}))


@action(
    "vpc",
    "DeleteRouteTable",
    route_table.RouteTableNotFound,
    route_table.MainRouteTableNotDeletable,
    route_table.RouteTableHasSubnets,
)
def delete_route_table(call: Call, given: Parameters) -> None:
    """Delete an unused route table."""
    route_table.delete(call.tx, given.resource_id("RouteTableId", "rtb"))


@action("vpc", "CreateRoutes", *_ROUTE_RULES, route.RouteQuota)
def create_routes(call: Call, given: Parameters) -> Answer:
    """Add routes. The response contains only the new routes."""
    table_id = given.resource_id("RouteTableId", "rtb")
    requested = tuple(_parse_route(entry) for entry in given.required_each("Routes"))
    table, added = route.add(call.tx, table_id, requested)
    return {"TotalCount": 1, "RouteTableSet": [show(call, table, added)]}


def _find_route(table: RouteTable, given: Parameters) -> Route:
    number, item_id = given.find_integer("RouteId"), given.find_text("RouteItemId")
    if number is None and item_id is None:
        raise RouteNotIdentified
    return route.find(table, -1 if number is None else number, item_id or "")


@action("vpc", "DeleteRoutes", route_table.RouteTableNotFound, route.RouteNotFound, RouteNotIdentified)
def delete_routes(call: Call, given: Parameters) -> Answer:
    """Delete routes."""
    table_id, entries = given.resource_id("RouteTableId", "rtb"), given.required_each("Routes")
    table = route_table.get(call.tx, table_id)
    removed = tuple(_find_route(table, entry) for entry in entries)
    route.remove(call.tx, table_id, removed)
    return {"RouteSet": [_show_route(table, one) for one in removed]}


def _switch(call: Call, *, on: bool) -> Answer:
    given = call.parameters
    table_id = given.resource_id("RouteTableId", "rtb")
    if "RouteIds" not in given and "RouteItemIds" not in given:
        raise RouteNotIdentified
    if "RouteIds" in given and "RouteItemIds" in given:
        raise RouteIdsAndItemIds
    numbers, item_ids = given.integers("RouteIds"), given.texts("RouteItemIds")
    check_count("RouteIds", len(numbers))
    check_count("RouteItemIds", len(item_ids))
    route.switch(call.tx, table_id, numbers, item_ids, on=on)
    return {}


@action(
    "vpc", "EnableRoutes", route_table.RouteTableNotFound, route.RouteNotFound, RouteNotIdentified, RouteIdsAndItemIds
)
def enable_routes(call: Call, _given: Parameters) -> Answer:
    """Enable routes."""
    return _switch(call, on=True)


@action(
    "vpc", "DisableRoutes", route_table.RouteTableNotFound, route.RouteNotFound, RouteNotIdentified, RouteIdsAndItemIds
)
def disable_routes(call: Call, _given: Parameters) -> Answer:
    """Disable routes without deleting them."""
    return _switch(call, on=False)
