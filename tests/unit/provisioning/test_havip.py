from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from provisioning.errors import CloudApiError, SwitchoverError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.traffic.havip import confirm_with

CREDENTIALS = {"secretId": "id", "TENCENTCLOUD_SECRET_KEY": "key", "region": "ap-guangzhou"}


def _node(name: str) -> RemoteNode:
    return RemoteNode(name, f"ins-{name}", "10.0.4.20", "10.0.4.20", "debian", (), eligible=True)


A, B = _node("a"), _node("b")
GROUP = Inventory("group", (A, B), ("10.0.4.99",), "key")


class Cloud:
    """A cloud whose HAVIP follows `b` after some seconds."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.clock = 0.0
        self.filters: list[Any] = []
        self.error: CloudApiError | None = None

    def connect(self, _settings: Mapping[str, str]) -> Any:
        return self.call

    def call(self, _service: str, _action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if self.error:
            raise self.error
        self.filters = parameters["Filters"]
        followed = "ins-b" if self.clock >= self.delay_s else "ins-a"
        return {"HaVipSet": [{"Vip": "10.0.4.99", "InstanceId": followed}]}

    def tick(self, seconds: float) -> None:
        self.clock += seconds

    def confirm(self, settings: Mapping[str, str] = CREDENTIALS, address: str = "10.0.4.99") -> str:
        confirm = confirm_with(GROUP, settings, connect=self.connect, sleep=self.tick, now=lambda: self.clock)
        return confirm(address, B)


def test_a_switchover_is_confirmed_when_the_havip_follows_the_new_master() -> None:
    cloud = Cloud(delay_s=60)
    assert cloud.confirm() == "confirmed by the HAVIP after 60 s"
    assert cloud.filters == [
        {"Name": "vip", "Values": ["10.0.4.99"]},
        {"Name": "havip-association.instance-id", "Values": ["ins-a", "ins-b"]},
    ]


def test_a_havip_that_does_not_follow_is_an_error_that_names_what_it_follows() -> None:
    with pytest.raises(SwitchoverError) as caught:
        Cloud(delay_s=10_000).confirm()
    assert "the HAVIP of 10.0.4.99 does not follow b within 150 s" in str(caught.value)
    assert "DescribeHaVips: 10.0.4.99 follows a" in str(caught.value)


def test_without_credentials_the_api_is_not_called() -> None:
    assert Cloud(delay_s=10_000).confirm({"region": "ap-guangzhou"}) == (
        "not confirmed by the HAVIP, since no API credentials are set"
    )


def test_an_api_that_fails_does_not_fail_the_switchover() -> None:
    cloud = Cloud(delay_s=0)
    cloud.error = CloudApiError("DescribeHaVips: [AuthFailure] no permission")
    assert cloud.confirm() == "not confirmed by the HAVIP: DescribeHaVips: [AuthFailure] no permission"


def test_an_address_without_havip_is_not_confirmed() -> None:
    assert Cloud(delay_s=0).confirm(address="10.0.4.1") == "not confirmed: the API shows no HAVIP with this address"
