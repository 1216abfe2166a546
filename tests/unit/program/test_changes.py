"""What a deployed group cannot become in one run is refused before anything is declared, with a way to do it."""

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

# On one worker, beside the one of the other runs: each run of the program is made once in a process.
pytestmark = pytest.mark.xdist_group("changes of the program")

_A, _B = {"name": "iam-a", "address": "10.0.4.20"}, {"name": "iam-b", "address": "10.0.4.21"}
_C, _D = {"name": "iam-c", "address": "10.0.4.22"}, {"name": "iam-d", "address": "10.0.4.23"}
_EXTERNAL = {"data": EXTERNAL, "credentials": {"given": GIVEN}}
_KEPT = {**_EXTERNAL, "data": {**EXTERNAL, "location": "moved"}}
_GROUP = {"nodes.members": [_A, _B, _C]}
_EXISTING = {"network.existing": {"vpcId": "vpc-1234abcd", "subnetId": "subnet-1234abcd"}}

# What was deployed and what is wanted, as changes of the local stack; then the key, and words of the advice.
REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("the first node goes", _GROUP, {"nodes.members": [_B, _C]},
     "nodes.members", "iam-a has the databases and their disk"),
    ("the nodes change places", _GROUP, {"nodes.members": [_B, _A, _C]}, "nodes.members", "Keep iam-a first"),
    ("the databases move and their disk goes", {}, _EXTERNAL,
     "data.location", "the disk with the databases of iam-a would be deleted in this run"),
    ("the databases move and their node goes", _GROUP, {**_KEPT, "nodes.members": [_B, _C]},
     "nodes.members", "Keep iam-a first in the `up` that sets data.location moved"),
    ("a node has a new name", _GROUP, {"nodes.members": [_A, {**_B, "name": "iam-x"}, _C]},
     "nodes.members[1].address", "10.0.4.21 is iam-b's, wanted is iam-x: a name is for life too"),
    ("two nodes change addresses", _GROUP,
     {"nodes.members": [_A, {**_B, "address": "10.0.4.22"}, {**_C, "address": "10.0.4.21"}]},
     "nodes.members[2].address", "iam-c is at 10.0.4.22 for life"),
    ("a node has a new address", _GROUP, {"nodes.members": [_A, {**_B, "address": "10.0.4.30"}, _C]},
     "nodes.members[1].address", "Add a node with the new address under a new name"),
    ("a new node wants the old virtual IP", {},
     {"nodes.members": [_A, _B, {"name": "iam-c", "address": "10.0.4.99"}], "virtualIp.address": "10.0.4.98"},
     "nodes.members[2].address", "10.0.4.99 is the virtual IP's"),
    ("a new node wants the bastion's address",
     {"access.mode": "bastion"}, {"nodes.members": [_A, _B, {"name": "iam-c", "address": "10.0.4.5"}]},
     "nodes.members[2].address", "10.0.4.5 is the bastion's"),
    ("two nodes go", {"nodes.members": [_A, _B, _C, _D]}, {"nodes.members": [_A, _B]},
     "nodes.members", "Take one out, `up`, then the next: keep iam-d for now"),
    ("a node goes that the cloud protects", {**_GROUP, "nodes.terminationProtection": True},
     {"nodes.terminationProtection": True}, "nodes.terminationProtection", "refuse to delete iam-c"),
    ("a node and its protection go at once", {**_GROUP, "nodes.terminationProtection": True}, {},
     "nodes.terminationProtection", "Set it to false with iam-c still there"),
    ("a smaller system disk", {"nodes.systemDisk": {"sizeGib": 100}}, {},
     "nodes.systemDisk.sizeGib", "it is 100, wanted is 50: a disk can grow, never shrink"),
    ("a smaller data disk", {"nodes.dataDisk": {"sizeGib": 30}}, {}, "nodes.dataDisk.sizeGib", "Keep 30"),
    ("another zone", {}, {"network.zone": "ap-guangzhou-7"}, "network.zone", "would be deleted under its nodes"),
    ("another VPC", {}, {"network.vpcCidr": "10.0.0.0/12"}, "network.vpcCidr", "it is 10.0.0.0/16"),
    ("a wider subnet", {}, {"network.subnetCidr": "10.0.4.0/23"}, "network.subnetCidr", "a stack of its own"),
    ("somebody's network", {}, _EXISTING, "network.existing", "it is none"),
    ("a network of one's own", _EXISTING, {}, "network.existing", "it is vpc-1234abcd, subnet-1234abcd"),
]  # fmt: skip

TAKEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("nothing changes", _GROUP, _GROUP),
    ("a node comes", {}, _GROUP),
    ("the last node goes", _GROUP, {}),
    ("the second node goes", _GROUP, {"nodes.members": [_A, _C]}),
    ("the protection goes first", {**_GROUP, "nodes.terminationProtection": True}, _GROUP),
    ("the first node goes, and holds no data", {**_GROUP, **_EXTERNAL}, {**_EXTERNAL, "nodes.members": [_B, _C]}),
    ("the first node gives the data away", {**_GROUP}, {**_GROUP, **_KEPT}),
    ("the disk that is no longer used goes", {**_GROUP, **_KEPT}, {**_GROUP, **_EXTERNAL}),
    ("the databases come back to their disk", _KEPT, {}),
    ("a disk grows", {}, {"nodes.systemDisk": {"sizeGib": 100}, "nodes.dataDisk": {"sizeGib": 30}}),
    ("a new data disk is smaller than one that went", {**_EXTERNAL, "nodes.dataDisk": {"sizeGib": 30}}, {}),
    ("the virtual IP moves", {}, {"virtualIp.address": "10.0.4.98"}),
    ("the bastion goes", {"access.mode": "bastion"}, {}),
    ("somebody's network is described better", {**_EXISTING, "network.vpcCidr": "10.0.0.0/15"}, _EXISTING),
]


def _exports(changes: dict[str, Any]) -> dict[str, Any]:
    return run("local", changes).exports


def refuse_impossible_changes(settings: Settings, exports: dict[str, Any]) -> None:
    refuse(settings, parse_exports(exports))


@pytest.mark.parametrize(("before", "after", "key", "words"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_an_impossible_change_is_refused_with_what_to_do(
    before: dict[str, Any], after: dict[str, Any], key: str, words: str
) -> None:
    wanted, exports = parse(with_values(sections(), after), secret=frozenset({"credentials"})), _exports(before)
    with pytest.raises(ChangeError) as caught:
        refuse_impossible_changes(wanted, exports)
    texts = [problem.text for problem in caught.value.problems if problem.key == f"tandem:{key}"]
    assert any(words in text for text in texts), caught.value.problems
    assert str(caught.value).startswith("Pulumi.local.yaml asks for ")


@pytest.mark.parametrize(("before", "after"), [pytest.param(*row[1:], id=row[0]) for row in TAKEN])
def test_a_possible_change_is_taken(before: dict[str, Any], after: dict[str, Any]) -> None:
    values = with_values(sections(), after)
    refuse_impossible_changes(parse(values, secret=frozenset({"credentials"})), _exports(before))


def test_before_the_first_deployment_everything_is_possible() -> None:
    refuse_impossible_changes(parse(sections()), {})


def test_all_of_them_are_reported_at_once() -> None:
    with pytest.raises(ChangeError, match="asks for 2 changes that a deployed group cannot make; nothing was changed"):
        refuse_impossible_changes(
            parse(with_values(sections(), {"nodes.members": [_B, _C], "network.zone": "ap-guangzhou-7"})),
            _exports(_GROUP),
        )


@pytest.mark.parametrize("preview", [True, False])
def test_nothing_is_declared_by_then(*, preview: bool) -> None:
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


def test_a_deployed_group_is_declared_again_as_it_is() -> None:
    again = fake_cloud.run_program("local", config_of("local", {}), last=_exports({}))
    assert {each.name: each.inputs for each in again.resources} == {
        each.name: each.inputs for each in run("local").resources
    }


def test_what_was_never_there_is_not_asked_for() -> None:
    """An export of an older version has none of what binds the next run."""
    older = {key: value for key, value in _exports({}).items() if key not in {"data_node", "network", "disks"}}
    refuse_impossible_changes(parse(with_values(sections(), {"dns": ABSENT})), older)
