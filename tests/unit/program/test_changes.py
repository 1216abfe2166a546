"""Changes that a deployed group cannot make in one run are refused, with advice, before a resource is declared."""

from __future__ import annotations

from typing import Any

import fake_cloud
import pytest
from program_runs import config_of, run
from settings_samples import ABSENT, EXTERNAL, GIVEN, parse, sections, with_values

from components.changes import ChangeError
from components.changes import refuse_impossible_changes as refuse
from provisioning.exports import parse_exports
from settings.sections import Settings

# One worker, separate from the one of the other program runs: results are cached per process.

_A, _B = {"name": "iam-a", "address": "10.0.4.20"}, {"name": "iam-b", "address": "10.0.4.21"}
_C, _D = {"name": "iam-c", "address": "10.0.4.22"}, {"name": "iam-d", "address": "10.0.4.23"}
_EXTERNAL = {"data": EXTERNAL, "credentials": {"given": GIVEN}}
_KEPT = {**_EXTERNAL, "data": {**EXTERNAL, "location": "moved"}}
_VIPS = [{"address": "10.0.4.98"}, {"address": "10.0.4.97"}]
_GROUP = {"nodes.members": [_A, _B, _C]}
_EXISTING = {"network.existing": {"vpcId": "vpc-1234abcd", "subnetId": "subnet-1234abcd"}}

# The deployed and the requested changes of the local stack, the key of the problem, and a part of its text.
REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("removal of the first node", _GROUP, {"nodes.members": [_B, _C]},
     "nodes.members", "must start with iam-a, which has the databases and the data disk (got iam-b first)"),
    ("another order of the nodes", _GROUP, {"nodes.members": [_B, _A, _C]}, "nodes.members", "must start with iam-a"),
    ("external databases and no data disk", {}, _EXTERNAL,
     "data.location", "the data disk with the databases of iam-a would be deleted"),
    ("moved databases and removal of their node", _GROUP, {**_KEPT, "nodes.members": [_B, _C]},
     "nodes.members", "must start with iam-a in the `up` that sets data.location to moved"),
    ("a new name for a node", _GROUP, {"nodes.members": [_A, {**_B, "name": "iam-x"}, _C]},
     "nodes.members[1].address", "cannot be 10.0.4.21, the address of iam-b, for iam-x. Nodes cannot be renamed"),
    ("two nodes with exchanged addresses", _GROUP,
     {"nodes.members": [_A, {**_B, "address": "10.0.4.22"}, {**_C, "address": "10.0.4.21"}]},
     "nodes.members[2].address", "cannot be changed after creation of iam-c (current 10.0.4.22, requested 10.0.4.21)"),
    ("a new address for a node", _GROUP, {"nodes.members": [_A, {**_B, "address": "10.0.4.30"}, _C]},
     "nodes.members[1].address", "Add a node with the new address and a new name"),
    ("a new node at the previous virtual IP", {},
     {"nodes.members": [_A, _B, {"name": "iam-c", "address": "10.0.4.99"}], "virtualIp.address": "10.0.4.98"},
     "nodes.members[2].address", "cannot be 10.0.4.99, the address of the virtual IP, for iam-c"),
    ("a new node at the address of the bastion",
     {"access.mode": "bastion"}, {"nodes.members": [_A, _B, {"name": "iam-c", "address": "10.0.4.5"}]},
     "nodes.members[2].address", "cannot be 10.0.4.5, the address of the bastion, for iam-c"),
    ("removal of a virtual IP before the last one",
     {"virtualIp.additional": _VIPS}, {"virtualIp.additional": _VIPS[1:]}, "virtualIp",
     "(current 10.0.4.99, 10.0.4.98, 10.0.4.97, requested 10.0.4.99, 10.0.4.97)"),
    ("a second master before an additional virtual IP", {"virtualIp.additional": _VIPS[:1]},
     {"virtualIp.additional": _VIPS[:1], "virtualIp.secondAddress": "10.0.4.90", "keepalived.mode": "dual-master"},
     "virtualIp", "10.0.4.98 would still belong to another one"),
    ("a virtual IP at the address of a removed node", _GROUP, {"virtualIp.address": "10.0.4.22"},
     "virtualIp", "cannot contain 10.0.4.22, the address of iam-c"),
    ("removal of two nodes", {"nodes.members": [_A, _B, _C, _D]}, {"nodes.members": [_A, _B]},
     "nodes.members", "Keep iam-d in this `up`, and remove the next node in another one"),
    ("removal of a node with termination protection", {**_GROUP, "nodes.terminationProtection": True},
     {"nodes.terminationProtection": True}, "nodes.terminationProtection", "must be false before iam-c can be deleted"),
    ("removal of the bastion with termination protection",
     {"access.mode": "bastion", "nodes.terminationProtection": True}, {"nodes.terminationProtection": True},
     "nodes.terminationProtection", "must be false before bastion can be deleted"),
    ("removal of a node together with its termination protection", {**_GROUP, "nodes.terminationProtection": True}, {},
     "nodes.terminationProtection", "Keep iam-c, set it to false and run `up`"),
    ("removal of a node and a new address of the bastion", {**_GROUP, "access.mode": "bastion"},
     {"access": {"mode": "bastion", "adminCidrs": ["198.51.100.0/24"], "bastion": {"address": "10.0.4.6"}}}, "access",
     "takes iam-c out of the group or of the eligible nodes (current bastion at 10.0.4.5, requested bastion at 10.0."),
    ("removal of a node and a bastion", _GROUP, {"access.mode": "bastion"}, "access", "(current no bastion, requested"),
    ("removal of a node and of the bastion", {**_GROUP, "access.mode": "bastion"}, {}, "access",
     "requested no bastion)"),
    ("another eligible node and a bastion", {**_GROUP, **_EXTERNAL},
     {**_EXTERNAL, "nodes.members": [_A, _C, _B], "access.mode": "bastion"}, "access", "that takes iam-b out of"),
    ("a smaller system disk", {"nodes.systemDisk": {"sizeGib": 100}}, {},
     "nodes.systemDisk.sizeGib", "cannot be reduced (current 100, requested 50)"),
    ("a smaller data disk", {"nodes.dataDisk": {"sizeGib": 30}}, {}, "nodes.dataDisk.sizeGib", "Keep 30"),
    ("another zone", {}, {"network.zone": "ap-guangzhou-7"},
     "network.zone", "the subnet of the nodes would be deleted"),
    ("another VPC", {}, {"network.vpcCidr": "10.0.0.0/12"},
     "network.vpcCidr", "(current 10.0.0.0/16, requested 10.0.0.0/12)"),
    ("a larger subnet", {}, {"network.subnetCidr": "10.0.4.0/23"},
     "network.subnetCidr", "Deploy a new stack in the new network"),
    ("an existing instead of a created network", {}, _EXISTING,
     "network.existing", "(current none, requested vpc-1234abcd, subnet-1234abcd)"),
    ("a created instead of an existing network", _EXISTING, {},
     "network.existing", "(current vpc-1234abcd, subnet-1234abcd, requested none)"),
]  # fmt: skip

ACCEPTED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("no change", _GROUP, _GROUP),
    ("a new node", {}, _GROUP),
    ("removal of the last virtual IP", {"virtualIp.additional": _VIPS}, {"virtualIp.additional": _VIPS[:1]}),
    ("a new virtual IP at the end", {"virtualIp.additional": _VIPS[:1]}, {"virtualIp.additional": _VIPS}),
    ("another virtual IP", {}, {"virtualIp.address": "10.0.4.98"}),
    ("removal of the last node", _GROUP, {}),
    ("removal of the second node", _GROUP, {"nodes.members": [_A, _C]}),
    ("a bastion for nodes that stay", _GROUP, {**_GROUP, "access.mode": "bastion"}),
    ("removal of a node through the bastion", {**_GROUP, "access.mode": "bastion"}, {"access.mode": "bastion"}),
    ("termination protection turned off", {**_GROUP, "nodes.terminationProtection": True}, _GROUP),
    ("removal of a first node without databases", {**_GROUP, **_EXTERNAL}, {**_EXTERNAL, "nodes.members": [_B, _C]}),
    ("moved databases", {**_GROUP}, {**_GROUP, **_KEPT}),
    ("deletion of the data disk after the move", {**_GROUP, **_KEPT}, {**_GROUP, **_EXTERNAL}),
    ("databases moved back to their disk", _KEPT, {}),
    ("larger disks", {}, {"nodes.systemDisk": {"sizeGib": 100}, "nodes.dataDisk": {"sizeGib": 30}}),
    ("a new data disk that is smaller than a deleted one", {**_EXTERNAL, "nodes.dataDisk": {"sizeGib": 30}}, {}),
    ("another virtual IP", {}, {"virtualIp.address": "10.0.4.98"}),
    ("removal of the bastion", {"access.mode": "bastion"}, {}),
    ("corrected CIDR block of an existing network", {**_EXISTING, "network.vpcCidr": "10.0.0.0/15"}, _EXISTING),
]


def _exports(changes: dict[str, Any]) -> dict[str, Any]:
    return run("local", changes).exports


def refuse_impossible_changes(settings: Settings, exports: dict[str, Any]) -> None:
    refuse(settings, parse_exports(exports))


@pytest.mark.parametrize(("before", "after", "key", "text"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_an_impossible_change_is_refused_with_advice(
    before: dict[str, Any], after: dict[str, Any], key: str, text: str
) -> None:
    requested = parse(with_values(sections(), after), encrypted_sections=frozenset({"credentials"}))
    exports = _exports(before)
    with pytest.raises(ChangeError) as caught:
        refuse_impossible_changes(requested, exports)
    texts = [problem.text for problem in caught.value.problems if problem.key == f"tandem:{key}"]
    assert any(text in each for each in texts), caught.value.problems
    assert str(caught.value).startswith("stacks/Pulumi.local.yaml has ")


@pytest.mark.parametrize(("before", "after"), [pytest.param(*row[1:], id=row[0]) for row in ACCEPTED])
def test_a_possible_change_is_accepted(before: dict[str, Any], after: dict[str, Any]) -> None:
    values = with_values(sections(), after)
    refuse_impossible_changes(parse(values, encrypted_sections=frozenset({"credentials"})), _exports(before))


def test_all_changes_are_possible_before_the_first_deployment() -> None:
    refuse_impossible_changes(parse(sections()), {})


def test_all_impossible_changes_are_reported_together() -> None:
    with pytest.raises(ChangeError, match="has 2 changes that a deployed group cannot make; nothing was changed"):
        refuse_impossible_changes(
            parse(with_values(sections(), {"nodes.members": [_B, _C], "network.zone": "ap-guangzhou-7"})),
            _exports(_GROUP),
        )


@pytest.mark.parametrize("preview", [True, False])
def test_no_resource_is_declared_when_a_change_is_refused(*, preview: bool) -> None:
    declared = fake_cloud.Run()
    with pytest.raises(ChangeError):
        fake_cloud.run_program(
            "local",
            config_of("local", {"nodes.members": [_B, _A]}),
            preview=preview,
            last=_exports({}),
            run=declared,
        )
    assert not declared.resources


def test_a_second_run_declares_the_same_resources() -> None:
    again = fake_cloud.run_program("local", config_of("local", {}), last=_exports({}))
    assert {each.name: each.inputs for each in again.resources} == {
        each.name: each.inputs for each in run("local").resources
    }


def test_exports_of_older_versions_without_these_keys_are_accepted() -> None:
    older = {key: value for key, value in _exports({}).items() if key not in {"data_node", "network", "disks"}}
    refuse_impossible_changes(parse(with_values(sections(), {"dns": ABSENT})), older)
