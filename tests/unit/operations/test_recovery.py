"""Objects of failed creates are imported, or the operator is told what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from operations.errors import EngineError, OperationError
from operations.failed_creates import FailedCreates
from operations.failures import Failures, Uncertain, read_failures
from operations.recovery import Recoverer
from provisioning.cloud_calls import CallApi

VPC = "urn:pulumi:local::tandem::tandem:cloud:Network$tencentcloud:Vpc/instance:Instance::vpc"
NODE = "urn:pulumi:local::tandem::tencentcloud:Instance/instance:Instance::node"
ATTACHMENT = "urn:pulumi:local::tandem::tencentcloud:Ha/vipEipAttachment:VipEipAttachment::eip"
LOST = "CreateVpc: no response from vpc.example.com\n"
REFUSED = "CreateVpc: [LimitExceeded] 10 VPCs are the limit (RequestId 7f3a)\n"
CONFLICT = "[TencentCloudSDKError] Code=InvalidParameterValue.SubnetConflict, Message=overlaps, RequestId=7f3a\n"


class FakeStack:
    """A stack in a cloud with VPCs and instances, by name. `visible_after_s`: reads lag behind by this time."""

    def __init__(
        self, *resources: dict[str, Any], vpcs: Mapping[str, Sequence[str]], visible_after_s: float = 0
    ) -> None:
        self.deployment: dict[str, Any] = {"resources": list(resources)}
        self.refreshed: list[str] = []
        self._vpcs = vpcs
        self._visible_after_s = visible_after_s
        self.slept_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def export_state(self) -> dict[str, Any]:
        return {"version": 3, "deployment": self.deployment}

    def import_state(self, state: Mapping[str, Any]) -> None:
        # As `pulumi stack import`.
        self.deployment = {**state["deployment"], "pending_operations": []}

    def refresh_resources(self, urns: Sequence[str]) -> None:
        self.refreshed += urns
        # As `pulumi refresh`, which reads them by id.
        exist = {id_ for ids in self._vpcs.values() for id_ in ids}
        kept = [each for each in self.deployment["resources"] if each["urn"] not in urns or each["id"] in exist]
        self.deployment = {**self.deployment, "resources": kept}

    def connect(self) -> CallApi:
        return self._call

    def _call(self, service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        del service
        name = parameters["Filters"][0]["Values"][0]
        ids = self._vpcs.get(name, ()) if self.slept_s >= self._visible_after_s else ()
        if action == "DescribeInstances":
            return {"InstanceSet": [{"InstanceId": id_, "InstanceName": name} for id_ in ids]}
        return {"VpcSet": [{"VpcId": id_, "VpcName": name} for id_ in ids]}


def failed(urn: str = VPC, error: str = LOST, *, op: str = "create", old_id: str = "", **inputs: Any) -> list[str]:
    """The event log of a run in which one operation failed."""
    resource_type = urn.split("::")[2].rpartition("$")[2]
    new = {"urn": urn, "type": resource_type, "custom": True, "id": "", "inputs": {"name": "net", **inputs}}
    metadata = {"op": op, "urn": urn, "type": resource_type, "old": {"id": old_id} if old_id else None, "new": new}
    events = [
        {"diagnosticEvent": {"urn": urn, "severity": "error", "message": error}},
        {"resOpFailedEvent": {"metadata": metadata, "status": 0, "steps": 1}},
        {"diagnosticEvent": {"severity": "error", "message": "update failed"}},
    ]
    return [json.dumps(event) for event in events]


def read(log: list[str]) -> Failures:
    return read_failures(log, interrupted=False)


@pytest.fixture
def record(tmp_path: Path) -> FailedCreates:
    return FailedCreates(tmp_path / "new" / "failed-creates.json")


def recoverer(stack: FakeStack, record: FailedCreates) -> Recoverer:
    return Recoverer(stack, record, lambda _: None, stack.sleep)


@pytest.mark.parametrize(
    ("log", "uncertain", "others"),
    [
        pytest.param(failed(), True, False, id="a lost response leaves the result open"),
        pytest.param(failed(error=CONFLICT), True, False, id="a conflict can be the result of a repeated create"),
        pytest.param(failed(error=REFUSED), False, True, id="a refused create has created nothing"),
        pytest.param(failed(op="update"), False, True, id="the object of an update exists"),
        pytest.param(
            failed("urn:pulumi:local::tandem::pulumi-python:dynamic/tandem:Rollout::rollout"), False, True,
            id="a dynamic resource can be created again",
        ),
    ],
)  # fmt: skip
def test_failures_with_an_open_result_are_recognized(log: list[str], uncertain: bool, others: bool) -> None:  # noqa: FBT001 - from the parameters above
    failures = read(log)
    assert (bool(failures.uncertain), failures.others) == (uncertain, others)


def test_an_account_of_the_traditional_type_is_named() -> None:
    error = "[TencentCloudSDKError] Code=UnsupportedOperation.AccountNotSupported, Message=..., RequestId=7f3a\n"
    shown = str(EngineError("pulumi up", 1, read(failed(error=error))))
    assert "RequestId=7f3a\n  The account is of the traditional type" in shown
    assert "docs/operations.md" in shown


def test_the_errors_of_resources_are_repeated_at_the_end() -> None:
    """Pulumi prints all outputs after them; the message without a resource only says that the run failed."""
    log = failed(op="update", error="<{%reset%}>iam-b: gate failed\n  look at: the journal<{%reset%}>\n")
    assert str(EngineError("pulumi up", 1, read(log))) == (
        "pulumi up failed with exit code 1:\n  vpc: iam-b: gate failed\n    look at: the journal"
    )
    of_the_program = failed("urn:pulumi:local::tandem::pulumi:pulumi:Stack::tandem-local", error="wrong")
    assert str(EngineError("pulumi up", 1, read(of_the_program))) == "pulumi up failed with exit code 1, see above"


def test_an_interrupted_run_is_not_continued() -> None:
    assert read_failures(failed(), interrupted=True).others


def test_the_object_of_a_failed_create_is_imported_and_read(record: FailedCreates) -> None:
    stack = FakeStack(vpcs={"net": ["vpc-1"]})
    assert recoverer(stack, record).recover_failed(read(failed()))
    (imported,) = stack.deployment["resources"]
    assert (imported["urn"], imported["id"], imported["inputs"]) == (VPC, "vpc-1", {"name": "net"})
    assert stack.refreshed == [VPC]
    assert record.read() == []


def test_an_object_that_reads_do_not_show_yet_is_found_later(record: FailedCreates) -> None:
    stack = FakeStack(vpcs={"net": ["vpc-1"]}, visible_after_s=3)
    assert recoverer(stack, record).recover_failed(read(failed()))
    assert stack.slept_s == 3


def test_a_create_without_an_object_is_forgotten(record: FailedCreates) -> None:
    stack = FakeStack(vpcs={})
    assert not recoverer(stack, record).recover_failed(read(failed()))
    assert stack.deployment["resources"] == []
    assert record.read() == []


def test_an_object_that_the_refresh_does_not_find_does_not_continue_the_deployment(record: FailedCreates) -> None:
    """The id of an attachment is derived from its inputs, so it is found whether or not the attachment exists."""
    stack, lines = FakeStack(vpcs={}), list[str]()
    error = "[TencentCloudSDKError] Code=ResourceInUse.Address, Message=bound to another HAVIP, RequestId=7f3a\n"
    failures = read(failed(ATTACHMENT, error, havipId="havip-1", addressIp="203.0.113.9"))
    assert failures.uncertain
    assert not Recoverer(stack, record, lines.append, stack.sleep).recover_failed(failures)
    assert stack.refreshed == [ATTACHMENT]
    assert lines[-1] == f"The refresh has found that {ATTACHMENT} does not exist."
    assert record.read() == []


def test_the_attachment_of_a_lost_response_continues_the_deployment(record: FailedCreates) -> None:
    stack = FakeStack(vpcs={"": ["havip-1#203.0.113.9"]})
    assert recoverer(stack, record).recover_failed(read(failed(ATTACHMENT, havipId="havip-1", addressIp="203.0.113.9")))


def test_a_create_that_fails_again_after_its_recovery_ends_the_deployment(record: FailedCreates) -> None:
    stack = FakeStack(vpcs={"net": ["vpc-1"]})
    recovering = recoverer(stack, record)
    assert recovering.recover_failed(read(failed()))
    stack.deployment = {"resources": []}
    assert not recovering.recover_failed(read(failed()))
    assert [one["id"] for one in stack.deployment["resources"]] == ["vpc-1"], "the object belongs to the stack"


def test_several_objects_stop_this_run_and_the_next_ones(record: FailedCreates) -> None:
    stack = FakeStack(vpcs={"net": ["vpc-1", "vpc-2"]})
    with pytest.raises(OperationError, match="one of vpc-1, vpc-2; nothing was changed"):
        recoverer(stack, record).recover_failed(read(failed()))
    with pytest.raises(OperationError, match="one of vpc-1, vpc-2; nothing was changed"):
        recoverer(stack, record).recover_interrupted()
    left = FakeStack(vpcs={"net": ["vpc-2"]})
    recoverer(left, record).recover_interrupted()
    assert [one["id"] for one in left.deployment["resources"]] == ["vpc-2"]


def test_a_resource_that_another_run_has_created_is_not_replaced(record: FailedCreates) -> None:
    record.add(read(failed()).uncertain)
    stack = FakeStack(
        {"urn": VPC, "type": "tencentcloud:Vpc/instance:Instance", "id": "vpc-2"}, vpcs={"net": ["vpc-1"]}
    )
    recoverer(stack, record).recover_interrupted()
    assert [one["id"] for one in stack.deployment["resources"]] == ["vpc-2"]
    assert record.read() == []


def test_the_object_of_a_failed_replacement_takes_the_place_of_its_predecessor(record: FailedCreates) -> None:
    old = {"urn": VPC, "type": "tencentcloud:Vpc/instance:Instance", "id": "vpc-1"}
    stack = FakeStack(old, vpcs={"net": ["vpc-1", "vpc-2"]})
    assert recoverer(stack, record).recover_failed(read(failed(op="create-replacement", old_id="vpc-1")))
    assert [(one["id"], one.get("delete", False)) for one in stack.deployment["resources"]] == [
        ("vpc-2", False),
        ("vpc-1", True),
    ]


def test_secret_user_data_stays_secret_and_other_secrets_stop_the_run(record: FailedCreates) -> None:
    stack = FakeStack(vpcs={"net": ["ins-1"]})
    log = failed(NODE, "error reading from server: EOF", instanceName="net", userDataRaw="[secret]")
    assert recoverer(stack, record).recover_failed(read(log))
    (node,) = stack.deployment["resources"]
    assert node["additionalSecretOutputs"] == ["userData", "userDataRaw"]
    # Pulumi's signature of a secret.
    assert node["inputs"]["userDataRaw"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    log = failed(NODE, "error reading from server: EOF", instanceName="net", password="[secret]")
    with pytest.raises(OperationError, match=r"its inputs password are secret.*\n  delete ins-1 in the console"):
        recoverer(FakeStack(vpcs={"net": ["ins-1"]}), record).recover_failed(read(log))


def test_the_incomplete_last_event_of_a_killed_engine_is_ignored() -> None:
    complete = failed()
    assert read([*complete, '{"resOpFailedEvent": {"meta']) == read(complete)
    with pytest.raises(ValueError, match="Unterminated"):
        read(['{"resOpFailedEvent": {"meta', *complete])


def test_a_killed_writer_leaves_the_old_record(record: FailedCreates, tmp_path: Path) -> None:
    record.add(read(failed()).uncertain)
    before = tmp_path / "before"
    before.hardlink_to(record.file)
    record.add(read(failed(NODE, "EOF")).uncertain)
    assert len(record.read()) == 2
    assert len(json.loads(before.read_text())) == 1, "the new record is another file"
    assert list(record.file.parent.iterdir()) == [record.file]


def test_a_damaged_record_stops_the_run_and_says_what_to_do(record: FailedCreates) -> None:
    record.add(read(failed()).uncertain)
    record.file.write_text(record.file.read_text()[:-5])
    with pytest.raises(OperationError, match=r"failed-creates\.json cannot be read: .*\n.*\n.*console"):
        recoverer(FakeStack(vpcs={}), record).recover_interrupted()


def test_the_record_contains_each_create_once(record: FailedCreates) -> None:
    create: tuple[Uncertain, ...] = read(failed()).uncertain
    record.add(create)
    record.add(create)
    assert record.read() == list(create)
