"""A parameter of a feature that localcloud does not emulate is refused instead of ignored."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.api.request_rules import ParameterNotEmulated
from localcloud.api.schema import Schema, schema
from localcloud.api.unemulated import TABLE
from localcloud.services.actions import ACTIONS, VERSIONS
from tests.localcloud.api.place import Place

_SERVICE = {name: service for service, name in ACTIONS}
_CASES = [(action, entry) for action, entries in TABLE.items() for entry in entries.split()]


def _request(models: Schema, model: str, path: list[str]) -> dict[str, Any]:
    """Return a request whose only parameter is the one at `path`, with a value of its type."""
    member = models.members(model)[path[0]]
    if len(path) > 1:
        value: Any = _request(models, member.model, path[1:])
    else:
        value = {"string": "on", "integer": 7, "boolean": True}.get(member.kind) or _request(
            models, member.model, [next(iter(models.members(member.model)))]
        )
    return {path[0]: [value] if member.many else value}


@pytest.mark.parametrize(("action", "entry"), _CASES, ids=[f"{action} {entry}" for action, entry in _CASES])
def test_a_parameter_that_is_not_emulated_is_refused(place: Place, action: str, entry: str) -> None:
    service = _SERVICE[action]
    path = entry.partition("=")[0].split(".")
    request = _request(schema(service, VERSIONS[service]), f"{action}Request", path)
    with pytest.raises(ParameterNotEmulated) as refused:
        place.call(f"{service}:{action}", **request)
    assert ".".join(path) in str(refused.value)


def test_the_default_of_such_a_parameter_is_accepted(place: Place) -> None:
    place.call("cvm:CreateDisasterRecoverGroup", Name="spread", Type="HOST", Strategy="SPREAD", PartitionCount=0)
    place.machine(
        InternetAccessible={"InternetServiceProvider": "BGP", "BandwidthPackageId": ""},
        LoginSettings={"KeepImageLogin": "FALSE"},
        InstanceMarketOptions={"MarketType": ""},
    )
