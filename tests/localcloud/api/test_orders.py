"""Deployments removed in every order: resources in use are kept, with a code that the provider handles correctly."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from localcloud.rules import havip
from localcloud.rules.refusal import ApiError
from tests.localcloud.api.lab import Direct
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import associate, key, records, spread

Deed = Callable[[], object]

# Codes that the provider retries indefinitely although the call can only fail again
# (terraform-provider-tencentcloud 1.82.42), except where it retries every code of that call anyway.
_RETRIED = ("ResourceInUse", "ResourceUnavailable", "ResourceBusy", "RequestLimitExceeded")
_RETRIES_EVERYTHING = {"DeleteVpc", "DeleteSubnet", "DeleteRouteTable", "DeleteSecurityGroup"}


def _deployment(place: Place) -> dict[str, Deed]:
    """A pair behind a HAVIP with an EIP, and the steps that remove it."""
    call = place.call
    key_id, spread_id = key(place), spread(place)
    login = {"LoginSettings": {"KeyIds": [key_id]}, "DisasterRecoverGroupIds": [spread_id]}
    machines = [place.machine(**login) for _ in range(2)]
    havip_id, (address_id, ip) = place.havip(CheckAssociate=True), place.eip()
    for instance_id in machines:
        associate(place, havip_id, instance_id)
    call("vpc:HaVipAssociateAddressIp", HaVipId=havip_id, AddressIp=ip)
    call.settle()
    gone = [{"HaVipId": havip_id, "InstanceId": instance_id} for instance_id in machines]
    return {
        "HaVipDisassociateAddressIp": lambda: call("vpc:HaVipDisassociateAddressIp", HaVipId=havip_id),
        "ReleaseAddresses": lambda: call("vpc:ReleaseAddresses", AddressIds=[address_id]),
        "DisassociateHaVipInstance": lambda: call("vpc:DisassociateHaVipInstance", HaVipAssociationSet=gone),
        "DeleteHaVip": lambda: call("vpc:DeleteHaVip", HaVipId=havip_id),
        "TerminateInstances": lambda: call("cvm:TerminateInstances", InstanceIds=machines),
        "DeleteKeyPairs": lambda: call("cvm:DeleteKeyPairs", KeyIds=[key_id]),
        "DeleteDisasterRecoverGroups": lambda: call(
            "cvm:DeleteDisasterRecoverGroups", DisasterRecoverGroupIds=[spread_id]
        ),
        "DeleteSecurityGroup": lambda: call("vpc:DeleteSecurityGroup", SecurityGroupId=place.group_id),
        "DeleteSubnet": lambda: call("vpc:DeleteSubnet", SubnetId=place.subnet_id),
        "DeleteVpc": lambda: call("vpc:DeleteVpc", VpcId=place.vpc_id),
    }


def _take_down(call: Direct, deeds: dict[str, Deed]) -> list[tuple[str, str]]:
    """Try every step repeatedly until all have succeeded; return the rejections."""
    refused: list[tuple[str, str]] = []
    left = dict(deeds)
    for _ in range(len(deeds) + 1):
        for name in list(left):
            call.settle()
            before = records(call.cloud)
            try:
                left[name]()
            except ApiError as error:
                refused.append((name, error.code))
                assert records(call.cloud) == before
                # A terminated instance removed its associations.
                if isinstance(error, havip.AssociationNotFound):
                    del left[name]
            else:
                del left[name]
        if not left:
            return refused
    raise AssertionError(f"never done: {', '.join(left)}")


def test_removal_in_the_right_order_is_not_refused(place: Place) -> None:
    assert _take_down(place.call, _deployment(place)) == []
    assert {kind.__name__ for kind, _ in records(place.call.cloud)[0]} <= {"Task", "Job", "AllocationDay"}


def test_removal_in_the_reverse_order_is_refused_while_in_use_and_completes(place: Place) -> None:
    deeds = dict(reversed(_deployment(place).items()))
    refused = _take_down(place.call, deeds)
    assert {name for name, _ in refused} == {
        "DeleteVpc",
        "DeleteSubnet",
        "DeleteSecurityGroup",
        "DeleteDisasterRecoverGroups",
        "DeleteKeyPairs",
        "DeleteHaVip",
        "DisassociateHaVipInstance",
        "ReleaseAddresses",
    }


@pytest.mark.parametrize("seed", range(15))
def test_removal_in_any_order_never_returns_a_code_that_the_provider_retries_in_vain(place: Place, seed: int) -> None:
    deeds = list(_deployment(place).items())
    random.Random(seed).shuffle(deeds)
    for name, code in _take_down(place.call, dict(deeds)):
        assert not code.startswith(_RETRIED) or name in _RETRIES_EVERYTHING, (name, code)


def test_one_instance_of_a_pair_can_be_removed_without_affecting_the_other(place: Place) -> None:
    havip_id, machines = place.havip(CheckAssociate=True), [place.machine(), place.machine()]
    for instance_id in machines:
        associate(place, havip_id, instance_id)
    place.call("cvm:TerminateInstances", InstanceIds=machines[:1])
    place.call.settle()
    shown = place.call("vpc:DescribeHaVips", HaVipIds=[havip_id])["HaVipSet"][0]
    assert [row["InstanceId"] for row in shown["HaVipAssociationSet"]] == machines[1:]


def test_every_pair_of_steps_in_the_wrong_order_is_refused_or_harmless(place: Place) -> None:
    """A VPC is never deleted before its contents, regardless of the earlier steps."""
    deeds = _deployment(place)
    for first, second in itertools.permutations(["DeleteVpc", "DeleteSubnet", "DeleteSecurityGroup"], 2):
        for name in (first, second):
            with pytest.raises(ApiError):
                deeds[name]()
