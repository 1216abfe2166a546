"""Transitions of states, with configurable delays, as in the cloud."""

from __future__ import annotations

import time
from ipaddress import IPv4Address

import pytest

from localcloud.infrastructure import Disk, MachineSpec, NoInfrastructure
from localcloud.rules.timing import REALISTIC, SHORT, Timing
from tests.localcloud.api.lab import Direct, running_cloud
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import associate, disk, eni_of

_TENTHS = Timing(
    instance_start_s=0.3, instance_stop_s=0.2, instance_change_s=0.2, address_s=0.2, nat_gateway_s=0.2, disk_s=0.2
)


def _states(place: Place, instance_id: str, until: str) -> list[str]:
    """The states that a program sees during the transition."""
    began, seen = time.monotonic(), list[str]()
    while True:
        state = place.show(instance_id)["InstanceState"]
        if not seen or seen[-1] != state:
            seen.append(state)
        if state == until:
            return seen
        assert time.monotonic() - began < 10, seen
        time.sleep(0.01)


def test_an_instance_passes_through_its_states_in_the_configured_time() -> None:
    with running_cloud(timing=_TENTHS) as cloud:
        place = Place.build(Direct(cloud))
        began = time.monotonic()
        instance_id = place.begin_machine()
        assert _states(place, instance_id, "RUNNING") == ["PENDING", "RUNNING"]
        assert time.monotonic() - began >= 0.29
        place.call("cvm:StopInstances", InstanceIds=[instance_id])
        assert _states(place, instance_id, "STOPPED") == ["STOPPING", "STOPPED"]
        place.call("cvm:StartInstances", InstanceIds=[instance_id])
        assert _states(place, instance_id, "RUNNING") == ["STARTING", "RUNNING"]


def test_an_address_is_created_bound_and_unbound_by_tasks() -> None:
    with running_cloud(timing=_TENTHS) as cloud:
        call = Direct(cloud)
        place = Place.build(call)
        made = call("vpc:AllocateAddresses")

        def seen() -> tuple[str, str]:
            status = call("vpc:DescribeAddresses", AddressIds=made["AddressSet"])["AddressSet"][0]["AddressStatus"]
            return status, call("vpc:DescribeTaskResult", TaskId=int(made["TaskId"]))["Result"]

        assert seen() == ("CREATING", "RUNNING")
        time.sleep(0.25)
        assert seen() == ("UNBIND", "SUCCESS")
        havip_id = place.havip()
        address = call("vpc:DescribeAddresses", AddressIds=made["AddressSet"])["AddressSet"][0]["AddressIp"]
        call("vpc:HaVipAssociateAddressIp", HaVipId=havip_id, AddressIp=address)
        assert seen()[0] == "BINDING"
        assert call("vpc:DescribeHaVips", HaVipIds=[havip_id])["HaVipSet"][0]["AddressIp"] == ""
        time.sleep(0.25)
        assert seen()[0] == "BIND"
        assert call("vpc:DescribeHaVips", HaVipIds=[havip_id])["HaVipSet"][0]["AddressIp"] == address


def test_a_change_takes_effect_without_another_request() -> None:
    """The infrastructure follows without a request: an EIP is bound in the network as soon as its task is done."""
    with running_cloud(timing=Timing(address_s=0.1)) as cloud:
        place = Place.build(Direct(cloud))
        address_id, ip = place.eip()
        place.call("vpc:AssociateAddress", AddressId=address_id, InstanceId=place.machine())
        assert cloud.network_plan().vpcs[0].public_addresses == ()
        time.sleep(0.3)
        bound = cloud.network_plan().vpcs[0].public_addresses
        assert [(one.address_id, str(one.public)) for one in bound] == [(address_id, ip)]


def test_a_disk_is_attached_and_resized_after_a_delay() -> None:
    with running_cloud(timing=_TENTHS) as cloud:
        call = Direct(cloud)
        place = Place.build(call)
        disk_id, instance_id = disk(place), place.machine()
        call("cbs:AttachDisks", DiskIds=[disk_id], InstanceId=instance_id)
        assert call("cbs:DescribeDisks", DiskIds=[disk_id])["DiskSet"][0]["DiskState"] == "ATTACHING"
        call.settle()
        assert call("cbs:DescribeDisks", DiskIds=[disk_id])["DiskSet"][0]["DiskState"] == "ATTACHED"


class _NoRoom(NoInfrastructure):
    """An infrastructure whose machines accept no disk."""

    def attach_disk(self, disk: Disk, instance_id: str) -> None:
        raise RuntimeError(f"{instance_id} has no room for {disk.disk_id}")


def test_a_disk_that_could_not_be_attached_becomes_available_again() -> None:
    with running_cloud(infrastructure=_NoRoom()) as cloud:
        call = Direct(cloud)
        place = Place.build(call)
        disk_id, instance_id = disk(place), place.machine()
        call("cbs:AttachDisks", DiskIds=[disk_id], InstanceId=instance_id)
        call.settle()
        shown = call("cbs:DescribeDisks", DiskIds=[disk_id])["DiskSet"][0]
        assert (shown["DiskState"], shown["InstanceId"]) == ("UNATTACHED", "")
        call("cbs:TerminateDisks", DiskIds=[disk_id])


class _FailsOnce(NoInfrastructure):
    """An infrastructure in which one step fails once."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what
        self.armed = False

    def start_machine(self, spec: MachineSpec) -> None:
        self._fail("start")
        super().start_machine(spec)

    def stop_machine(self, instance_id: str, *, hard: bool) -> None:
        self._fail("stop")
        super().stop_machine(instance_id, hard=hard)

    def _fail(self, what: str) -> None:
        if self.armed and what == self._what:
            self.armed = False
            raise RuntimeError(f"{what} failed")


@pytest.mark.parametrize(
    ("what", "state"),
    [
        pytest.param("stop", "RUNNING", id="an instance that could not be stopped is running"),
        pytest.param("start", "STOPPED", id="an instance that could not be started is stopped"),
    ],
)
def test_after_a_failed_change_the_state_is_that_of_the_machine(what: str, state: str) -> None:
    infrastructure = _FailsOnce(what)
    with running_cloud(infrastructure=infrastructure) as cloud:
        call = Direct(cloud)
        place = Place.build(call)
        instance_id = place.machine()
        infrastructure.armed = True
        call("cvm:ResetInstancesType", InstanceIds=[instance_id], InstanceType="S5.LARGE8", ForceStop=True)
        call.settle()
        shown = place.show(instance_id)
        assert (shown["InstanceState"], shown["LatestOperationState"]) == (state, "FAILED")
        assert shown["LatestOperationErrorMsg"] == f"RuntimeError: {what} failed"
        if state == "RUNNING":
            call("cvm:StopInstances", InstanceIds=[instance_id])
            call.settle()
        call("cvm:StartInstances", InstanceIds=[instance_id])
        call.settle()
        assert place.show(instance_id)["InstanceState"] == "RUNNING"


def test_all_realistic_times_are_longer() -> None:
    for name in Timing.__slots__:
        assert getattr(REALISTIC, name) > getattr(SHORT, name)


def test_the_announcer_of_a_havip_is_shown_as_its_holder(place: Place) -> None:
    havip_id, instance_id = place.havip(Vip="10.0.4.99", CheckAssociate=True), place.machine()
    associate(place, havip_id, instance_id)

    def shown() -> tuple[str, str, str]:
        row = place.call("vpc:DescribeHaVips", HaVipIds=[havip_id])["HaVipSet"][0]
        return row["State"], row["InstanceId"], row["NetworkInterfaceId"]

    assert shown() == ("UNBIND", "", "")
    place.call.cloud.havip_announced(place.vpc_id, IPv4Address("10.0.4.99"), instance_id)
    assert shown() == ("AVAILABLE", instance_id, eni_of(place, instance_id))
    wanted = [{"HaVipId": havip_id, "InstanceId": instance_id}]
    place.call("vpc:DisassociateHaVipInstance", HaVipAssociationSet=wanted)
    assert shown() == ("UNBIND", "", "")


def test_an_instance_that_powers_itself_off_is_shown_as_stopped(place: Place) -> None:
    instance_id = place.machine()
    place.call.cloud.machine_stopped(instance_id)
    assert place.show(instance_id)["InstanceState"] == "STOPPED"


def test_an_instance_powered_on_at_the_infrastructure_is_shown_as_running(place: Place) -> None:
    instance_id = place.machine()
    place.call.cloud.machine_stopped(instance_id)
    place.call.cloud.machine_started(instance_id)
    assert place.show(instance_id)["InstanceState"] == "RUNNING"
