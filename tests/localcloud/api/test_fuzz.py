"""Malformed requests: never an internal error, a hang, or a change by a rejected request."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud import services
from localcloud.api.schema import Member, schema
from localcloud.rules.refusal import ApiError
from localcloud.services.actions import ACTIONS, VERSIONS
from tests.localcloud.api.lab import PUBLIC_KEY, ZONE, Direct, running_cloud
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import disk, eni_of, gateway, key, main_table, records, spread

services.load()

# Values that a fuzzer would not find.
_GOOD_TEXTS = [
    *("10.0.0.0/16", "10.0.4.0/24", "10.0.9.0/24", "0.0.0.0/0", "10.0.4.77", "203.0.113.10", "true", "false"),
    *(ZONE, "ap-guangzhou-3", "img-debian12", "S5.MEDIUM2", "CLOUD_PREMIUM", "HOST", "EIP", "NAT", "CVM", "SUBNET"),
    *("monitor", "ALL", "en-US", "example.com", "A", "默认", "ENABLE", "INTERNAL", "TCP", "black", "NAME", "0", "1"),
    *("ACCEPT", "DROP", "80", "8000-8010", "vpc-id", "zone", "ASC", "cvm_device", "MT_QCE", "gz", PUBLIC_KEY, "SOFT"),
]
# The kind of id that a member takes, by its name.
_PREFIXES = {
    "VpcId": "vpc-",
    "SubnetId": "subnet-",
    "SecurityGroupId": "sg-",
    "InstanceId": "ins-",
    "HaVipId": "havip-",
    "NetworkInterfaceId": "eni-",
    "DiskId": "disk-",
    "NatGatewayId": "nat-",
    "KeyId": "skey-",
    "AddressId": "eip-",
    "RouteTableId": "rtb-",
    "DisasterRecoverGroupId": "ps-",
    "AutoSnapshotPolicyId": "asp-",
    "LoadBalancerId": "lb-",
    "SecurityGroup": "sg-",
}
_BAD_TEXTS = [
    "",
    " ",
    "x" * 300,
    "'; DROP TABLE records; --",
    "../../etc/passwd",
    "\x00",
    "😀" * 40,
    "null",
    "-1",
    "%s",
]
_NUMBERS = [
    0,
    1,
    2,
    5,
    10,
    50,
    60,
    80,
    100,
    200,
    443,
    600,
    1000,
    1_000_000,
    65535,
    65536,
    -1,
    2**31,
    2**63 - 1,
    -(2**63),
]


class Fuzzer:
    """Generates requests from the SDK's models, with existing ids, unknown ids, and nonsense."""

    def __init__(self, seed: int, ids: list[str], required: dict[tuple[str, str], list[str]]) -> None:
        self.chance = random.Random(seed)
        self.ids = ids
        self.required = required

    def request(self) -> tuple[str, dict[str, Any]]:
        service, name = self.chance.choice(sorted(ACTIONS))
        if self.chance.random() < 0.01:
            return f"{service}:Make{name}", {}
        members = schema(service, VERSIONS[service]).members(f"{name}Request")
        given = self._object(service, members.values(), depth=0)
        for member in self.required[service, name]:
            if member not in given and self.chance.random() < 0.98:
                given[member] = self._value(service, members[member], depth=0)
        if self.chance.random() < 0.03:
            given[self.chance.choice(["Colour", "", "vpcId", "Filters.0.Name"])] = "blue"
        return f"{service}:{name}", given

    def _object(self, service: str, members: Any, depth: int) -> dict[str, Any]:
        often = self.chance.choice([0.05, 0.3, 0.7, 1.0])
        return {
            member.name: self._value(service, member, depth)
            for member in members
            if self.chance.random() < often and member.name != "DryRun"
        }

    def _value(self, service: str, member: Member, depth: int) -> Any:
        if self.chance.random() < 0.01:
            return self.chance.choice([None, [], {}, "x", 7, True, 1.5, [[]], {"a": {}}])
        if member.many:
            count = self.chance.choice([0, 1, 1, 1, 2, 3, 11]) if depth < 3 else 0
            return [self._one(service, member, depth) for _ in range(count)]
        return self._one(service, member, depth)

    def _one(self, service: str, member: Member, depth: int) -> Any:
        match member.kind:
            case "object":
                below = schema(service, VERSIONS[service]).members(member.model)
                return self._object(service, below.values(), depth + 1) if depth < 3 else {}
            case "integer":
                return self.chance.choice(_NUMBERS)
            case "float":
                return self.chance.choice([0.0, 1.5, -1.0, 1e300])
            case "boolean":
                return self.chance.random() < 0.5
            case _:
                return self._text(member.name)

    def _text(self, name: str) -> str:
        fitting = [at for at in self.ids if at.startswith(_PREFIXES.get(name.removesuffix("s"), "?"))]
        if fitting and self.chance.random() < 0.8:
            return self.chance.choice(fitting)
        if name.endswith(("Id", "Ids")) or self.chance.random() < 0.2:
            return self.chance.choice(self.ids)
        texts = _BAD_TEXTS if self.chance.random() < 0.15 else _GOOD_TEXTS
        return self.chance.choice(texts)


def _populate(call: Direct) -> list[str]:
    """Create one of most resources; return their ids and unknown ids."""
    place = Place.build(call)
    machines = [place.machine(address="10.0.4.20"), place.machine()]
    havip_id = place.havip()
    balancer = call(
        "clb:CreateLoadBalancer", LoadBalancerType="INTERNAL", VpcId=place.vpc_id, SubnetId=place.subnet_id
    )["LoadBalancerIds"][0]
    schedule = [{"DayOfWeek": [0], "Hour": [3]}]
    policy = call("cbs:CreateAutoSnapshotPolicy", Policy=schedule)["AutoSnapshotPolicyId"]
    made = [eni_of(place, machines[0]), disk(place), gateway(place)[0], key(place), main_table(place), spread(place)]
    made.append(place.eip()[0])
    call.settle()
    unknown = ["vpc-00000000", "ins-zzzzzzzz", "eip-1", "sg-", "", "img-debian12"]
    return [place.vpc_id, place.subnet_id, place.group_id, *machines, havip_id, balancer, policy, *made, *unknown]


@pytest.fixture
def fuzzed() -> Iterator[tuple[Direct, list[str]]]:
    with running_cloud() as cloud:
        call = Direct(cloud)
        yield call, _populate(call)


def _code(call: Direct, target: str, given: dict[str, Any]) -> str:
    """Return the error code of the call, or None."""
    try:
        call(target, **given)
    except ApiError as error:
        return error.code
    return ""


def _fuzz(call: Direct, fuzzer: Fuzzer, count: int) -> tuple[int, int]:
    """Send that many requests; return the numbers of accepted and rejected ones."""
    done, refused = 0, 0
    for number in range(count):
        target, given = fuzzer.request()
        # Pending work may change the records at any time, so wait until it is done.
        call.settle()
        before = records(call.cloud)
        began = time.monotonic()
        code = _code(call, target, given)
        assert code != "InternalError", f"{number}: {target} {given}"
        if code:
            refused += 1
            assert records(call.cloud) == before, f"{number}: {target} {given}: refused, but changed the state"
        else:
            done += 1
        assert time.monotonic() - began < 5, f"{number}: {target} {given} took too long"
    return done, refused


@pytest.mark.timeout(300)
def test_1000_fuzzed_requests_cause_no_internal_error_hang_or_change_when_refused(
    fuzzed: tuple[Direct, list[str]], required_members: dict[tuple[str, str], list[str]]
) -> None:
    call, ids = fuzzed
    done, refused = _fuzz(call, Fuzzer(20261121, ids, required_members), 1000)
    # A fuzzer that is always rejected, or never, finds nothing.
    assert done >= 100
    assert refused >= 300


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(10))
def test_10000_fuzzed_requests_cause_no_internal_error_hang_or_change_when_refused(
    fuzzed: tuple[Direct, list[str]], required_members: dict[tuple[str, str], list[str]], seed: int
) -> None:
    call, ids = fuzzed
    _fuzz(call, Fuzzer(seed, ids, required_members), 1000)


@pytest.mark.parametrize(("service", "name"), sorted(ACTIONS))
def test_an_empty_request_is_refused_if_a_parameter_is_required(
    call: Direct, service: str, name: str, required_members: dict[tuple[str, str], list[str]]
) -> None:
    """`tccli` contains the pages' own list of required parameters; the handlers must require them."""
    required = required_members[service, name]
    if not required:
        return
    with pytest.raises(ApiError) as refused:
        call(f"{service}:{name}")
    assert refused.value.code.startswith("MissingParameter"), refused.value
