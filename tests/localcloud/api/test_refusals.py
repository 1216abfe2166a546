"""A test for each rule: a request that breaks it is rejected with its code, and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from localcloud import services
from localcloud.api import request_rules
from localcloud.api.reference import COMMON
from localcloud.rules import (
    address,
    address_binding,
    address_charge,
    disk,
    instance_state,
    nat,
)
from localcloud.rules.catalog import ZONES
from localcloud.rules.public_pool import PoolEmpty
from localcloud.rules.refusal import ApiError, Refusal, rule_in_words
from localcloud.rules.timing import Timing
from localcloud.services import listing
from localcloud.services.actions import ACTIONS
from tests.localcloud.api import (
    refusals_addresses,
    refusals_machines,
    refusals_network,
    refusals_others,
    refusals_services,
    refusals_storage,
)
from tests.localcloud.api.lab import Direct, running_cloud
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import HeldInfrastructure, Request, Row, records, row
from tests.localcloud.api.refused import disk as make_disk

services.load()

ROWS = [
    *refusals_network.ROWS,
    *refusals_addresses.ROWS,
    *refusals_machines.ROWS,
    *refusals_storage.ROWS,
    *refusals_services.ROWS,
    *refusals_others.ROWS,
]


def _id(entry: object) -> str:
    assert isinstance(entry, Row)
    return f"{entry.refusal.code} - {rule_in_words(entry.refusal)}"


def _is_refused(call: Direct, entry: Row, request: Request) -> None:
    target, parameters = request
    before = records(call.cloud)
    with pytest.raises(ApiError) as refused:
        call(target, entry.region, **parameters)
    assert type(refused.value) is entry.refusal, refused.value
    assert refused.value.code == entry.refusal.code
    assert records(call.cloud) == before


@pytest.mark.parametrize("entry", ROWS, ids=_id)
def test_a_request_that_breaks_the_rule_is_refused_and_changes_nothing(place: Place, entry: Row) -> None:
    request = entry.prepare(place)
    place.call.settle()
    _is_refused(place.call, entry, request)


# A transition of a minute is still pending when the last request arrives.
_SLOW = Timing(address_s=60, nat_gateway_s=60, disk_s=60)


@pytest.fixture
def slow_place() -> Iterator[Place]:
    with running_cloud(timing=_SLOW) as cloud:
        yield Place.build(Direct(cloud))


def _fresh(place: Place) -> str:
    return place.call("vpc:AllocateAddresses")["AddressSet"][0]


def _fresh_eip(place: Place) -> Request:
    return "vpc:ReleaseAddresses", {"AddressIds": [_fresh(place)]}


def _fresh_eip_for_a_havip(place: Place) -> Request:
    address_id = place.call("vpc:AllocateAddresses")["AddressSet"][0]
    ip = place.call("vpc:DescribeAddresses", AddressIds=[address_id])["AddressSet"][0]["AddressIp"]
    return "vpc:HaVipAssociateAddressIp", {"HaVipId": place.havip(), "AddressIp": ip}


def _growing_disk(place: Place) -> Request:
    disk_id = make_disk(place)
    place.call("cbs:ResizeDisk", DiskId=disk_id, DiskSize=60)
    return "cbs:TerminateDisks", {"DiskIds": [disk_id]}


def _growing_again(place: Place) -> Request:
    disk_id = make_disk(place)
    place.call("cbs:ResizeDisk", DiskId=disk_id, DiskSize=60)
    return "cbs:ResizeDisk", {"DiskId": disk_id, "DiskSize": 70}


def _fresh_gateway(place: Place) -> Request:
    made = place.call("vpc:CreateNatGateway", NatGatewayName="n", VpcId=place.vpc_id, AddressCount=1)
    return "vpc:DeleteNatGateway", {"NatGatewayId": made["NatGatewaySet"][0]["NatGatewayId"]}


BUSY = [
    Row(address.AddressBusy, _fresh_eip),
    Row(address.AddressBusy, lambda p: ("vpc:ModifyAddressAttribute", {"AddressId": _fresh(p), "AddressName": "new"})),
    Row(address_binding.AddressBusyForVpc, _fresh_eip_for_a_havip),
    Row(disk.DiskChanging, _growing_disk),
    Row(disk.DiskBusy, _growing_again),
    Row(nat.NatGatewayBusy, _fresh_gateway),
]


@pytest.mark.parametrize("entry", BUSY, ids=_id)
def test_a_resource_in_transition_refuses_another_change(slow_place: Place, entry: Row) -> None:
    _is_refused(slow_place.call, entry, entry.prepare(slow_place))


@pytest.fixture
def held_place() -> Iterator[tuple[Place, HeldInfrastructure]]:
    infrastructure = HeldInfrastructure()
    with running_cloud(infrastructure=infrastructure) as cloud:
        yield Place.build(Direct(cloud)), infrastructure
        infrastructure.release()


HELD: dict[type[Refusal], tuple[str, str]] = {
    instance_state.InstanceIsPending: ("start", ""),
    instance_state.InstanceIsStopping: ("stop", "StopInstances"),
    instance_state.InstanceIsTerminating: ("destroy", "TerminateInstances"),
}


@pytest.mark.parametrize("refusal", HELD)
def test_an_instance_in_transition_refuses_operations(
    held_place: tuple[Place, HeldInfrastructure], refusal: type[Refusal]
) -> None:
    place, infrastructure = held_place
    step, operation = HELD[refusal]
    if operation:
        instance_id = place.machine()
        infrastructure.held.add(step)
        place.call(f"cvm:{operation}", InstanceIds=[instance_id])
    else:
        infrastructure.held.add(step)
        instance_id = place.begin_machine()
    request = "cvm:TerminateInstances", {"InstanceIds": [instance_id]}
    _is_refused(place.call, Row(refusal, lambda _: request), request)
    if step != "stop":
        attach = "cbs:AttachDisks", {"DiskIds": [make_disk(place)], "InstanceId": instance_id}
        _is_refused(place.call, row(disk.InstanceCannotAttachDisk, ""), attach)


def test_an_instance_that_is_starting_or_being_modified_refuses_operations(
    held_place: tuple[Place, HeldInfrastructure],
) -> None:
    place, infrastructure = held_place
    first, second = place.machine(), place.machine()
    place.call("cvm:StopInstances", InstanceIds=[first])
    place.call.settle()
    infrastructure.held.add("start")
    place.call("cvm:StartInstances", InstanceIds=[first])
    starting = "cvm:StopInstances", {"InstanceIds": [first]}
    _is_refused(place.call, row(instance_state.InstanceIsStarting, ""), starting)
    place.call("cvm:ResetInstancesType", InstanceIds=[second], InstanceType="S5.LARGE8", ForceStop=True)
    changing = "cvm:StopInstances", {"InstanceIds": [second]}
    _is_refused(place.call, row(instance_state.InstanceBusy, ""), changing)


def test_an_instance_that_failed_to_launch_reports_the_error_and_can_only_be_terminated(
    held_place: tuple[Place, HeldInfrastructure],
) -> None:
    place, infrastructure = held_place
    infrastructure.failing = True
    instance_id = place.machine()
    shown = place.show(instance_id)
    assert shown["InstanceState"] == "LAUNCH_FAILED"
    assert "no room for another machine" in shown["LatestOperationErrorMsg"]
    start = "cvm:StartInstances", {"InstanceIds": [instance_id]}
    _is_refused(place.call, row(instance_state.InstanceLaunchFailed, ""), start)
    place.call("cvm:TerminateInstances", InstanceIds=[instance_id])
    place.call.settle()
    assert place.call("cvm:DescribeInstances")["TotalCount"] == 0


def test_an_instance_that_is_not_running_refuses_an_eip(held_place: tuple[Place, HeldInfrastructure]) -> None:
    place, infrastructure = held_place
    address_id, _ = place.eip()
    infrastructure.held.add("start")
    instance_id = place.begin_machine()
    bind = "vpc:AssociateAddress", {"AddressId": address_id, "InstanceId": instance_id}
    _is_refused(place.call, row(address_binding.InstanceStateForbidsBinding, ""), bind)


TRADITIONAL = [
    row(address_charge.TraditionalAccount, "vpc:AllocateAddresses", InternetChargeType="TRAFFIC_POSTPAID_BY_HOUR"),
    row(address_charge.TraditionalAccount, "vpc:AllocateAddresses", InternetMaxBandwidthOut=5),
    Row(
        address_charge.TraditionalAccountChargeTypeFixed,
        lambda p: (
            "vpc:ModifyAddressInternetChargeType",
            {
                "AddressId": p.call("vpc:AllocateAddresses")["AddressSet"][0],
                "InternetChargeType": "BANDWIDTH_PREPAID_BY_MONTH",
                "InternetMaxBandwidthOut": 5,
            },
        ),
    ),
]


@pytest.mark.parametrize("entry", TRADITIONAL, ids=_id)
def test_an_eip_of_a_traditional_account_has_no_charge_type(entry: Row) -> None:
    with running_cloud(account="traditional") as cloud:
        place = Place.build(Direct(cloud))
        request = entry.prepare(place)
        place.call.settle()
        _is_refused(place.call, entry, request)
        place.call("vpc:AllocateAddresses")
        place.call.settle()
        shown = place.call("vpc:DescribeAddresses")["AddressSet"][0]
        assert shown["InternetChargeType"] is None
        assert shown["Bandwidth"] is None


def test_the_public_addresses_are_limited() -> None:
    with running_cloud() as cloud:
        call = Direct(cloud)
        for region in ("ap-guangzhou", "ap-shanghai", "ap-beijing"):
            call("vpc:AllocateAddresses", region, AddressCount=20)
            for number, zone in enumerate(ZONES[region][:3]):
                _run_public(call, region, _place_in(call, region, zone, number), 20)
            call.settle()
        with pytest.raises(PoolEmpty):
            _run_public(call, "ap-beijing", _place_in(call, "ap-beijing", ZONES["ap-beijing"][3], 3), 30)


def _place_in(call: Direct, region: str, zone: str, number: int) -> tuple[str, str, str, str]:
    vpc_id = call("vpc:CreateVpc", region, VpcName="v", CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"]
    made = call("vpc:CreateSubnet", region, VpcId=vpc_id, SubnetName="s", CidrBlock=f"10.{number}.0.0/20", Zone=zone)
    group = call("vpc:CreateSecurityGroup", region, GroupName="g", GroupDescription="")["SecurityGroup"]
    return zone, vpc_id, made["Subnet"]["SubnetId"], group["SecurityGroupId"]


def _run_public(call: Direct, region: str, place: tuple[str, str, str, str], count: int) -> None:
    zone, vpc_id, subnet_id, group_id = place
    call(
        "cvm:RunInstances",
        region,
        Placement={"Zone": zone},
        ImageId="img-debian12",
        VirtualPrivateCloud={"VpcId": vpc_id, "SubnetId": subnet_id},
        InternetAccessible={"PublicIpAssigned": True, "InternetMaxBandwidthOut": 1},
        SecurityGroupIds=[group_id],
        InstanceCount=count,
    )


# Tested over HTTP, in test_gateway.py; the last one reports a bug.
ELSEWHERE: set[type[Refusal]] = {
    request_rules.AuthorizationMalformed,
    request_rules.BodyNotJson,
    request_rules.ContentTypeWrong,
    request_rules.CredentialUnknown,
    request_rules.NoSuchVersion,
    request_rules.RequestTooLarge,
    request_rules.ServiceUnknown,
    request_rules.SignatureExpired,
    request_rules.SignatureWrong,
    request_rules.TooManyRequests,
    request_rules.UnsupportedProtocol,
    request_rules.UnsupportedRegion,
    request_rules.InternalError,
}
# Tested by the functions above that are not rows.
ABOVE: set[type[Refusal]] = {
    *HELD,
    instance_state.InstanceIsStarting,
    instance_state.InstanceBusy,
    instance_state.InstanceLaunchFailed,
    address_binding.InstanceStateForbidsBinding,
    disk.InstanceCannotAttachDisk,
    PoolEmpty,
}


def test_every_rule_of_an_action_has_a_test() -> None:
    named = {*COMMON, *(refusal for action in ACTIONS.values() for refusal in action.refuses)}
    tested = {entry.refusal for entry in (*ROWS, *BUSY, *TRADITIONAL)} | ELSEWHERE | ABOVE
    assert sorted(refusal.__name__ for refusal in named - tested) == []


def test_every_rule_belongs_to_an_action_and_names_its_source() -> None:
    named = {*COMMON, *(refusal for action in ACTIONS.values() for refusal in action.refuses)}
    of_lists = {listing.IdsAndFilters, listing.InstanceIdsAndFilters, listing.TooManyFilterValues}
    for refusal in _all(Refusal):
        if refusal.code and refusal not in of_lists:
            assert refusal in named, refusal
            assert refusal.source.where
            assert rule_in_words(refusal).endswith(".")
            # PRODUCT/DOCUMENT of the page. Assumed rules say why; docs/localcloud.md lists them first.
            has_page = re.fullmatch(r"(intl:)?[0-9]+/[0-9]+", refusal.source.page) is not None
            assert has_page == (refusal.source.kind == "documented"), refusal


def _all(refusal: type[Refusal]) -> Iterator[type[Refusal]]:
    for below in refusal.__subclasses__():
        yield below
        yield from _all(below)
