"""The full program on the real engine, against localcloud's API without nodes (full_project.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.engine.full_project import FullProject, full_project, nothing_to_do, settings

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullProject]:
    with full_project(tmp_path_factory.mktemp("whole")) as deployed:
        deployed.succeed("up")
        yield deployed


def _changed_lines(diff: str) -> list[str]:
    return [line.strip() for line in diff.splitlines() if re.match(r"\s+[-+] ", line)]


def test_a_second_run_changes_nothing(project: FullProject) -> None:
    assert nothing_to_do(project.succeed("up"))
    assert not _changed_lines(project.succeed("preview"))


def test_a_changed_nginx_setting_changes_one_line_on_each_node(project: FullProject) -> None:
    diff = project.succeed("preview", changes={"nginx": {"keepaliveTimeoutS": 30}})
    assert _changed_lines(diff) == 2 * ["-     keepalive_timeout 65s;", "+     keepalive_timeout 30s;"]
    assert "~ 2 to update" in diff  # the rollout, and the health check after it
    # Unchanged files and values are not shown (components/input_diff.py).
    lines = [line for line in diff.splitlines() if "from $PATH" not in line]  # of plugins found there
    assert len(lines) <= 40, len(lines)
    assert max(map(len, lines)) <= 500


def test_a_changed_image_does_not_affect_existing_nodes(project: FullProject) -> None:
    assert nothing_to_do(project.succeed("preview", changes={"nodes.image": "img-debian12"}))


_A, _B, _C = ({"name": f"iam-{name}", "address": f"10.0.4.2{number}"} for number, name in enumerate("abc"))


@pytest.mark.parametrize("command", ["preview", "up"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"nodes.members.1.address": "10.0.4.22"},
            "cannot be changed after creation of iam-b (current 10.0.4.21, requested 10.0.4.22)",
        ),
        ({"nodes.members.1.name": "iam-x"}, "cannot be 10.0.4.21, the address of iam-b, for iam-x"),
        ({"nodes.members": [_B, _C]}, "must start with iam-a, which has the databases and the data disk"),
        ({"network.zone": "ap-guangzhou-7"}, "the subnet of the nodes would be deleted"),
        ({"nodes.systemDisk": {"sizeGib": 20}}, "cannot be reduced (current 50, requested 20)"),
    ],
    ids=["another address", "another name", "without the first node", "another zone", "a smaller disk"],
)
def test_an_impossible_change_of_a_deployed_group_is_refused_before_any_operation(
    project: FullProject, command: str, changes: dict[str, Any], words: str
) -> None:
    before = project.records()
    text = project.fail(command, changes=changes)
    assert text.count(words) == 1
    assert "Traceback" not in text
    assert project.records() == before


def test_wrong_settings_are_reported_together_before_any_declaration(project: FullProject) -> None:
    text = project.fail("preview", changes={"nodes.type": "large", "network.subnetCidr": "10.9.4.0/24"})
    assert text.count("stacks/Pulumi.local.yaml has") == 1
    assert "tandem:nodes.type" in text
    assert "must be inside the VPC's 10.0.0.0/16 (got 10.9.4.0/24)" in text
    assert "Traceback" not in text
    assert "Previewing" not in text  # the engine was not started


def test_a_changed_instance_type_updates_one_node_at_a_time(project: FullProject) -> None:
    project.asked()
    project.cloud.fault("cvm:ResetInstancesType", latency_ms=3000, times=2)
    project.succeed("up", changes={"nodes.type": "S5.MEDIUM4"})
    asked = [line.split(maxsplit=1) for line in project.asked()]
    order = [words for _, words in asked]
    assert order in (_changes("iam-a", "iam-b"), _changes("iam-b", "iam-a"))
    assert float(asked[2][0]) - float(asked[0][0]) >= 3
    project.succeed("up")


def _changes(*nodes: str) -> list[str]:
    return [f"{what} {node}" for node in nodes for what in ("take out", "put back")]


def test_a_refused_change_puts_the_node_back(project: FullProject) -> None:
    project.asked()
    project.cloud.fault("cvm:ResetInstancesType", code="InvalidParameterValue", times=0)
    text = project.fail("up", changes={"nodes.members": [_A, {**_B, "type": "S5.LARGE8"}]})
    project.cloud.clear_faults()
    assert "InvalidParameterValue" in text
    assert [line.split(maxsplit=1)[1] for line in project.asked()] == ["take out iam-b", "resume iam-b"]
    assert nothing_to_do(project.succeed("up"))


def test_a_node_whose_image_is_gone_is_not_replaced(project: FullProject) -> None:
    project.asked()
    project.cloud.fault("cvm:DescribeImages", code="InvalidImageId.NotFound", times=0)
    node = "urn:pulumi:local::tandem::tandem:cloud:Nodes$tencentcloud:Instance/instance:Instance::nodes.iam-b"
    before = project.objects()
    text = project.fail("up", "--replace", node)
    project.cloud.clear_faults()
    assert re.search("iam-b cannot be replaced: the image img-[a-z0-9]+ does not exist; nothing was changed", text)
    assert (project.asked(), project.objects()) == ([], before)
    assert nothing_to_do(project.succeed("up"))


def test_a_replaced_node_has_the_image_of_the_settings_and_the_others_keep_theirs(project: FullProject) -> None:
    project.asked()
    project.succeed("replace", "iam-b", changes={"nodes.image": "img-debian12"})
    assert "retire iam-b" in " ".join(project.asked())
    images = {name: project.resources()[f"nodes.{name}"]["inputs"]["imageId"] for name in ("iam-a", "iam-b")}
    assert images == {"iam-a": "img-services", "iam-b": "img-debian12"}
    assert nothing_to_do(project.succeed("up"))


def test_a_node_that_may_not_hold_the_virtual_ip_any_more_gives_it_away(project: FullProject) -> None:
    project.succeed("up", changes={"nodes.members": [_A, _B, _C]})
    project.asked()
    project.succeed("up", changes={"nodes.members": [_A, _C, _B]})
    assert [line.split(maxsplit=1)[1] for line in project.asked()] == ["demote iam-b"]
    project.succeed("up", changes={"nodes.members": [_A, _B, _C]})
    project.succeed("up")


def test_no_node_is_changed_without_a_serving_peer(project: FullProject) -> None:
    (project.folder / "no-peer").touch()
    try:
        text = project.fail("up", changes={"nodes.type": "S5.MEDIUM4"})
    finally:
        (project.folder / "no-peer").unlink()
    assert "no other node serves" in text
    assert "Traceback" not in text
    assert nothing_to_do(project.succeed("up"))


def finish_an_interrupted_replacement(project: FullProject) -> None:
    """Run `up` and delete failing resources from the state, as docs/operations.md describes.

    When a replacement stops after the node's deletion, the engine (3.259) tries to delete the node's dependents again,
    and a refresh does not prevent it (step_generator.go does not check whether a dependent is pending replacement).
    """
    for _ in range(3):
        done = project.run("up")
        if done.code == 0:
            return
        (urn,) = set(re.findall(r"error: deleting (urn:\S+): 1 error", done.output))
        project.pulumi("state", "delete", urn, "--target-dependents", "--force", "--yes", "--stack", "local")
    raise AssertionError("up must succeed after deleting the node's three dependents from the state")


def test_a_second_replacement_in_one_run_is_refused_without_data_loss(project: FullProject) -> None:
    project.asked()
    node = "urn:pulumi:local::tandem::tandem:cloud:Nodes$tencentcloud:Instance/instance:Instance::nodes.iam"
    text = project.fail("up", "--replace", f"{node}-a", "--replace", f"{node}-b")
    assert re.search(r"iam-[ab]: cannot be changed in the run that removes iam-[ab]", text)
    assert len([line for line in project.asked() if "retire" in line]) == 1
    finish_an_interrupted_replacement(project)
    assert nothing_to_do(project.succeed("up"))


def test_a_changed_virtual_ip_retires_no_node(project: FullProject) -> None:
    project.asked()
    project.succeed("up", changes={"virtualIp.address": "10.0.4.98"})
    project.succeed("up")
    assert project.asked() == []


def test_adding_and_removing_a_node_affects_no_other_node(project: FullProject) -> None:
    project.asked()
    nodes = [*settings({})["tandem:nodes"]["members"], {"name": "iam-c", "address": "10.0.4.22"}]
    came = project.succeed("up", changes={"nodes.members": nodes})
    assert "8 created" in came
    assert "3 updated" in came  # the other nodes' firewall, the rollout, and the health check
    assert project.asked() == []
    project.succeed("up")
    # Before the other nodes remove it, and again before its deletion, because it may have been restarted.
    assert [line.split(maxsplit=1)[1] for line in project.asked()] == 2 * ["retire iam-c"]


@pytest.mark.parametrize(
    ("refused", "asked"),
    [
        (["retire 1"], 2 * ["retire iam-c"]),
        (["retire 2"], 2 * ["retire iam-c"]),
        # The rules have changed in the first run, so the second one retires it in the rollout and at its deletion.
        (["retire 2", "retire 2"], []),
    ],
    ids=["before the rules change", "in the rollout", "at its deletion, after the other nodes have removed it"],
)
def test_the_next_run_finishes_a_failed_removal(project: FullProject, refused: list[str], asked: list[str]) -> None:
    project.succeed("up", changes={"nodes.members": [_A, _B, _C]})
    for call in refused:
        (project.folder / "refuse").write_text(call)
        try:
            text = project.fail("up")
        finally:
            (project.folder / "refuse").unlink()
        assert "iam-c: no other node serves" in text
        assert "Traceback" not in text
        assert "nodes.iam-c" in " ".join(project.records())
        project.asked()
    # After a successful rollout the engine has stored the outputs of the failed run, which do not contain the node.
    skipped = "iam-c: switchover skipped; the node is not in the last deployment" in project.succeed("up")
    assert skipped == (not asked)
    assert [line.split(maxsplit=1)[1] for line in project.asked()] == asked
    assert "iam-c" not in " ".join(project.records())
    assert nothing_to_do(project.succeed("up"))


def test_a_failed_rollout_reports_only_the_observed_error(project: FullProject) -> None:
    (project.folder / "fail-rollout").touch()
    try:
        text = project.fail("up", changes={"nginx": {"workerConnections": 8192}})
    finally:
        (project.folder / "fail-rollout").unlink()
    assert "GateError: iam-b (10.0.4.21): does not serve\n      502 Bad Gateway\n" in text
    assert "Traceback" not in text
    assert "Resource monitor has terminated" not in text
    project.succeed("up")


def test_a_refresh_finds_drift_and_the_next_run_repairs_it(project: FullProject) -> None:
    (project.folder / "drifted").touch()
    try:
        project.succeed("refresh")
    finally:
        (project.folder / "drifted").unlink()
    diff = project.succeed("preview")
    assert "Rollout" in diff
    assert "worker_connections 1;" in diff
    lines = [line for line in diff.splitlines() if "from $PATH" not in line]
    assert len(lines) <= 40, len(lines)  # nothing else of the rollout is shown
    assert "1 updated" in project.succeed("up", "--no-refresh")
    assert nothing_to_do(project.succeed("up"))


def test_certificates_near_their_expiry_are_renewed_without_their_ca(project: FullProject) -> None:
    exported = json.loads(project.pulumi("stack", "export", "--stack", "local"))
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds").replace("+00:00", "Z")
    before = {}
    for each in exported["deployment"]["resources"]:
        if each["type"].endswith(("SelfSignedCert", "LocallySignedCert")):
            assert each["outputs"]["validityEndTime"] > tomorrow
            each["outputs"]["validityEndTime"] = tomorrow
            before[each["urn"]] = each["id"]
    (project.folder / "aged.json").write_text(json.dumps(exported))
    project.pulumi("stack", "import", "--stack", "local", "--file", str(project.folder / "aged.json"))
    project.succeed("up")
    after = project.records()
    renewed = {urn for urn, id_ in before.items() if after[urn][0] != id_}
    assert renewed == {urn for urn in before if "LocallySignedCert" in urn}
    assert len(renewed) == 3  # the certificate for clients and one for each node
    assert nothing_to_do(project.succeed("up"))


def test_the_state_contains_no_secret_in_clear_text(project: FullProject) -> None:
    state = project.state()
    text = json.dumps(state)
    assert "PRIVATE KEY" not in text
    passwords = [each for each in state["resources"] if each["type"].endswith(":RandomPassword")]
    assert passwords
    assert all(
        set(each["outputs"]["result"]) == {"4dabf18193072939515e22adb298388d", "ciphertext"} for each in passwords
    )


def test_a_protected_group_is_destroyed_only_after_its_protection_is_disabled(project: FullProject) -> None:
    protected = {"protect": True, "nodes.terminationProtection": True, "iam": {"release": "stand-in"}}
    project.succeed("up", changes=protected)
    destroy = "destroy"
    before = project.objects()
    text = project.fail(destroy, changes=protected)
    assert "health" in text
    assert "cannot be deleted" in text
    assert project.objects() == before
    project.asked()
    project.succeed("up", changes={"protect": False, "nodes.terminationProtection": False})
    assert project.asked() == []  # no node is affected
    # The next test destroys the group.


def test_destroy_removes_all_resources_without_node_operations(project: FullProject) -> None:
    project.asked()
    project.succeed("destroy")
    assert project.asked() == []
    assert not project.state().get("resources")
