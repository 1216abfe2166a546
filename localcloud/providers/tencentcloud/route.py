"""Route/table, Route/tableEntry, Route/tableAssociation."""

from __future__ import annotations

from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud import tags
from localcloud.providers.tencentcloud.api import Api, deleting, ignore_missing
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.tencentcloud.vpc import (
    associate_route_table,
    find_main_route_table,
    find_route_table,
    find_subnet,
)
from localcloud.providers.values import Properties


def _create(api: Api, inputs: Properties, _token: str) -> str:
    answer = api.vpc(
        "CreateRouteTable",
        {"VpcId": inputs["vpcId"], "RouteTableName": inputs.get("name", ""), "Tags": tags.as_list(inputs.get("tags"))},
    )
    return answer["RouteTable"]["RouteTableId"]


def _read(api: Api, table_id: str, _inputs: Properties) -> Properties | None:
    table = find_route_table(api, route_table_id=table_id)
    if table is None:
        return None
    return {
        "name": table["RouteTableName"],
        "vpcId": table["VpcId"],
        "isDefault": table["Main"],
        "createTime": table["CreatedTime"],
        "subnetIds": [association["SubnetId"] for association in table.get("AssociationSet") or []],
        "routeEntryIds": [f"{route['RouteId']}.{table_id}" for route in table.get("RouteSet") or []],
        "tags": tags.read(api, "vpc/rtb", table_id),
    }


def _update(api: Api, table_id: str, old: Properties, new: Properties) -> None:
    if new.get("name") != old.get("name"):
        api.vpc("ModifyRouteTableAttribute", {"RouteTableId": table_id, "RouteTableName": new.get("name", "")})
    tags.change(api, "vpc/rtb", table_id, old, new)


ROUTE_TABLE = ResourceType(
    properties={"name": REQUIRED, "vpcId": FIXED, "tags": OPTIONAL},
    create=_create,
    read=_read,
    update=_update,
    delete=deleting("vpc", "DeleteRouteTable", lambda table_id: {"RouteTableId": table_id}),
)


def _create_entry(api: Api, inputs: Properties, _token: str) -> str:
    answer = api.vpc(
        "CreateRoutes",
        {
            "RouteTableId": inputs["routeTableId"],
            "Routes": [
                {
                    "DestinationCidrBlock": inputs["destinationCidrBlock"],
                    "GatewayType": inputs["nextType"],
                    "GatewayId": inputs["nextHub"],
                    "RouteDescription": inputs.get("description", ""),
                    "Enabled": True,
                }
            ],
        },
    )
    route = answer["RouteTableSet"][0]["RouteSet"][0]
    return f"{route['RouteId']}.{inputs['routeTableId']}"


def _settle_entry(api: Api, entry_id: str, inputs: Properties) -> None:
    if inputs.get("disabled"):
        _switch(api, entry_id, disabled=True)


def _switch(api: Api, entry_id: str, *, disabled: bool) -> None:
    route_id, table_id = entry_id.split(".", 1)
    action = "DisableRoutes" if disabled else "EnableRoutes"
    api.vpc(action, {"RouteTableId": table_id, "RouteIds": [int(route_id)]})


def _read_entry(api: Api, entry_id: str, _inputs: Properties) -> Properties | None:
    route_id, table_id = entry_id.split(".", 1)
    table = find_route_table(api, route_table_id=table_id) or {}
    for route in table.get("RouteSet") or []:
        if str(route["RouteId"]) == route_id:
            return {
                "routeTableId": table_id,
                "destinationCidrBlock": route["DestinationCidrBlock"],
                "nextType": route["GatewayType"],
                "nextHub": route["GatewayId"],
                "description": route.get("RouteDescription") or "",
                "disabled": not route["Enabled"],
                "routeItemId": route.get("RouteItemId") or "",
            }
    return None


def _update_entry(api: Api, entry_id: str, _old: Properties, new: Properties) -> None:
    _switch(api, entry_id, disabled=bool(new.get("disabled")))


def _delete_entry(api: Api, entry_id: str, outputs: Properties) -> None:
    route_id, table_id = entry_id.split(".", 1)
    if _read_entry(api, entry_id, outputs) is not None:
        ignore_missing(
            lambda: api.vpc("DeleteRoutes", {"RouteTableId": table_id, "Routes": [{"RouteId": int(route_id)}]})
        )


ROUTE_ENTRY = ResourceType(
    properties={
        "routeTableId": FIXED,
        "destinationCidrBlock": FIXED,
        "nextType": FIXED,
        "nextHub": FIXED,
        "description": Property(replaces=True),
        "disabled": COMPUTED,
    },
    create=_create_entry,
    settle=_settle_entry,
    read=_read_entry,
    update=_update_entry,
    delete=_delete_entry,
)


def _create_association(api: Api, inputs: Properties, _token: str) -> str:
    associate_route_table(api, inputs["subnetId"], inputs["routeTableId"])
    return inputs["subnetId"]


def _read_association(api: Api, subnet_id: str, _inputs: Properties) -> Properties | None:
    subnet = find_subnet(api, subnet_id)
    return None if subnet is None else {"subnetId": subnet_id, "routeTableId": subnet["RouteTableId"]}


def _update_association(api: Api, subnet_id: str, _old: Properties, new: Properties) -> None:
    associate_route_table(api, subnet_id, new["routeTableId"])


def _delete_association(api: Api, subnet_id: str, _outputs: Properties) -> None:
    """Associate the subnet with the main table of the VPC, because a subnet always has a route table."""
    subnet = find_subnet(api, subnet_id)
    main = find_main_route_table(api, subnet["VpcId"]) if subnet is not None else None
    if subnet is not None and main is not None and main["RouteTableId"] != subnet["RouteTableId"]:
        associate_route_table(api, subnet_id, main["RouteTableId"])


ROUTE_ASSOCIATION = ResourceType(
    properties={"subnetId": FIXED, "routeTableId": REQUIRED},
    create=_create_association,
    read=_read_association,
    update=_update_association,
    delete=_delete_association,
)
