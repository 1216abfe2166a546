"""`tandem switchover` as the cloud and clients outside see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from test_node_changes import VIP, Lab

from operations.errors import OperationError
from operations.switchover import Clock, run
from provisioning.errors import CloudApiError
from provisioning.health.checks import PublicSide
from provisioning.health.public_checks import Address, Service

PUBLIC = PublicSide((Address("203.0.113.9"),), (Service("api", "iam.api.example.com"),), "")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def clock() -> Clock:
    times = [0.0]

    def sleep(seconds: float) -> None:
        times[0] += seconds

    return Clock(lambda: times[0], sleep)


def after(failures: int) -> Callable[[Address, Service], tuple[bool, str]]:
    sent: list[Address] = []

    def send(address: Address, _service: Service) -> tuple[bool, str]:
        sent.append(address)
        return len(sent) > failures, "200 in 3 ms" if len(sent) > failures else "ConnectTimeout"

    return send


def test_a_switchover_is_confirmed_by_a_request_through_the_public_ip(lab: Lab) -> None:
    run(lab.changes, PUBLIC, send=after(5), clock=clock())
    assert lab.reported[-1] == (
        "iam.api.example.com answers through 203.0.113.9: 200 in 3 ms, 1.0 s after the switchover"
    )


def test_a_switchover_that_no_client_can_see_is_an_error(lab: Lab) -> None:
    with pytest.raises(OperationError, match=r"does not answer through 203\.0\.113\.9 within 30 s\n  ConnectTimeout"):
        run(lab.changes, PUBLIC, send=after(10_000), clock=clock())


@pytest.mark.parametrize(
    ("to", "attached", "refused"),
    [
        pytest.param(None, ["ins-iam-a"], True, id="the peer is detached"),
        pytest.param("iam-b", ["ins-iam-a"], True, id="the named node is detached"),
        pytest.param("iam-b", ["ins-iam-b"], False, id="away from the detached node"),
        pytest.param(None, ["ins-iam-a", "ins-iam-b"], False, id="both are attached"),
    ],
)
def test_a_switchover_to_a_node_that_is_detached_from_the_havip_is_refused(
    lab: Lab, to: str | None, attached: list[str], *, refused: bool
) -> None:
    associations = [{"InstanceId": each} for each in attached]
    shown = {"Vip": VIP, "InstanceId": "ins-iam-a", "HaVipAssociationSet": associations}

    def call_api(service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        del parameters
        assert (service, action) == ("vpc", "DescribeHaVips")
        return {"HaVipSet": [shown]}

    def move() -> None:
        run(lab.changes, PUBLIC, to=to, send=after(0), call_api=call_api)

    if refused:
        with pytest.raises(OperationError, match=r"iam-b cannot take over 10\.0\.4\.99: not attached"):
            move()
        assert lab.effects == []
    else:
        move()
        assert lab.confirmed == [(VIP, "iam-b")]


def test_an_api_that_cannot_be_reached_does_not_stop_a_switchover(lab: Lab) -> None:
    def refuse(service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        del service, action, parameters
        raise CloudApiError("DescribeHaVips: [AuthFailure] wrong signature")

    run(lab.changes, PUBLIC, send=after(0), call_api=refuse)
    assert lab.confirmed == [(VIP, "iam-b")]


def test_back_and_to_exclude_each_other(lab: Lab) -> None:
    with pytest.raises(OperationError, match="--back cannot be combined with --to"):
        run(lab.changes, PUBLIC, to="iam-b", back=True)
