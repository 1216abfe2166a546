"""Fencing detaches the HAVIPs of one node, and only if another node serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from operations.errors import OperationError
from operations.fencing import run
from provisioning.errors import CloudApiError, SwitchoverError, UnreachableError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.traffic.fencing import fence
from provisioning.traffic.serving import NodeState

VIP, VIP2 = "10.0.4.99", "10.0.4.98"
A, B, C = (
    RemoteNode(name, f"ins-{name}", f"10.0.4.2{n}", f"10.0.4.2{n}", "debian", (), eligible=name != "iam-c")
    for n, name in enumerate(("iam-a", "iam-b", "iam-c"))
)
GROUP = Inventory("group", (A, B, C), (VIP, VIP2), "key")


class Cloud:
    """HAVIPs of the group and of another one, each attached to both nodes."""

    def __init__(self) -> None:
        self.attached = {
            (havip, node) for havip in ("havip-1", "havip-2", "havip-9") for node in ("ins-iam-a", "ins-iam-b")
        }
        self.addresses = {"havip-1": VIP, "havip-2": VIP2, "havip-9": "10.0.4.90"}

    def call(self, service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert service == "vpc"
        if action == "DisassociateHaVipInstance":
            (association,) = parameters["HaVipAssociationSet"]
            self.attached.remove((association["HaVipId"], association["InstanceId"]))
            return {}
        assert action == "DescribeHaVips"
        (wanted,) = parameters["Filters"][0]["Values"]
        found = [{"HaVipId": havip, "Vip": self.addresses[havip]} for havip, node in self.attached if node == wanted]
        return {"HaVipSet": found}


def both_hold(*held: str) -> list[NodeState]:
    return [NodeState(B, held=held, can_be_master=True)]


def test_all_virtual_ips_of_the_group_are_detached_from_one_node() -> None:
    cloud, lines = Cloud(), list[str]()
    assert fence(cloud.call, GROUP, "iam-a", both_hold(VIP, VIP2), lines.append) == (VIP, VIP2)
    assert {pair for pair in cloud.attached if pair[1] == "ins-iam-a"} == {("havip-9", "ins-iam-a")}
    assert len([pair for pair in cloud.attached if pair[1] == "ins-iam-b"]) == 3
    assert len(lines) == 2
    assert fence(cloud.call, GROUP, "iam-a", both_hold(VIP, VIP2), lines.append) == ()


@pytest.mark.parametrize(
    ("others", "text"),
    [
        pytest.param(both_hold(VIP), "no other node holds 10.0.4.98 and serves", id="the peer holds one of two"),
        pytest.param([NodeState(B, held=(VIP, VIP2))], "no other node holds 10.0.4.99, 10.0.4.98", id="nginx is down"),
        pytest.param([NodeState(B, unreachable="no connection")], "iam-b: no connection", id="the peer is unreachable"),
    ],
)
def test_the_only_node_that_serves_is_not_fenced(others: list[NodeState], text: str) -> None:
    cloud = Cloud()
    before = set(cloud.attached)
    with pytest.raises(SwitchoverError) as caught:
        fence(cloud.call, GROUP, "iam-a", others, print)
    assert text in str(caught.value)
    assert cloud.attached == before


def test_an_application_node_cannot_be_fenced() -> None:
    with pytest.raises(SwitchoverError, match=r"must be an eligible node: iam-a or iam-b \(got iam-c\)"):
        fence(Cloud().call, GROUP, "iam-c", both_hold(VIP, VIP2), print)


def test_missing_credentials_are_an_error_of_the_command() -> None:
    def no_api(_settings: Mapping[str, str]) -> Any:
        raise CloudApiError("TENCENTCLOUD_SECRET_ID must be set to call the API")

    def unreachable(_node: RemoteNode) -> Any:
        raise UnreachableError("no connection")

    with pytest.raises(OperationError, match="TENCENTCLOUD_SECRET_ID must be set"):
        run(GROUP, "iam-a", {}, print, connect=unreachable, open_api=no_api)
