"""An update changes what it reports as changed, or fails. Calls the resource types without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from localcloud.providers.errors import ProviderError
from localcloud.providers.tencentcloud.api import Api
from localcloud.providers.tencentcloud.disk import STORAGE
from localcloud.providers.tencentcloud.nat import NAT_GATEWAY
from localcloud.providers.tencentcloud.resource_type import ResourceType


class FakeApi:
    """Records the calls and returns empty responses."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, _service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append((action, parameters))
        return {}


def _update(kind: ResourceType, old: dict[str, Any], new: dict[str, Any]) -> FakeApi:
    api = FakeApi()
    assert kind.update is not None
    kind.update(cast("Api", api), "disk-00000000", old, new)
    return api


_DISK = {"storageName": "data", "storageSize": 50, "chargeType": "POSTPAID_BY_HOUR", "projectId": 0}
_GATEWAY = {"name": "out", "assignedEipSets": ["203.0.113.1"], "zone": "ap-guangzhou-6"}


def test_a_disk_moves_to_another_project() -> None:
    api = _update(STORAGE, _DISK, _DISK | {"projectId": 7})
    assert api.calls == [("ModifyDiskAttributes", {"DiskIds": ["disk-00000000"], "ProjectId": 7})]


@pytest.mark.parametrize(
    ("kind", "old", "changed"),
    [
        pytest.param(STORAGE, _DISK, {"chargeType": "PREPAID"}, id="charge type of a disk"),
        pytest.param(STORAGE, _DISK, {"throughputPerformance": 100}, id="throughput of a disk"),
        pytest.param(STORAGE, _DISK, {"snapshotId": "snap-00000000"}, id="snapshot of a disk"),
        pytest.param(NAT_GATEWAY, _GATEWAY, {"zone": "ap-guangzhou-3"}, id="zone of a NAT gateway"),
    ],
)
def test_a_change_that_cannot_be_made_is_an_error(
    kind: ResourceType, old: dict[str, Any], changed: dict[str, Any]
) -> None:
    with pytest.raises(ProviderError, match=f"{next(iter(changed))} cannot be changed"):
        _update(kind, old, old | changed)


@pytest.mark.parametrize(("kind", "old"), [(STORAGE, _DISK), (NAT_GATEWAY, _GATEWAY)])
def test_an_unset_property_and_its_default_are_equal(kind: ResourceType, old: dict[str, Any]) -> None:
    assert _update(kind, old, old | {"throughputPerformance": 0, "snapshotId": ""}).calls == []
