"""`tandem health`: the checks of a group, the cloud's view, the table and the JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from rich.console import Console

from operations.errors import NoDeploymentError, OperationError
from operations.health import check_cloud, make_table, put_causes_first, to_json
from operations.messages import print_error
from operations.recorded import read_deployment
from provisioning.errors import CloudApiError
from provisioning.health.checks import Group, PublicSide
from provisioning.health.group_checks import check_clocks, check_masters
from provisioning.health.node_checks import NodeState
from provisioning.health.results import HealthReport, Level, fail, merge_successes, ok, warning
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.file import File

NODES = tuple(
    RemoteNode(f"iam-{name}", f"ins-{name}", f"10.0.4.2{n}", f"10.0.4.2{n}", "debian", ("ssh-ed25519 AAAA",), True)
    for n, name in enumerate("ab")
)
GROUP = Group(PublicSide((), (), ""), Inventory("tandem-local", NODES, ("10.0.4.99",), "KEY"), {})


def states(*holders: str, **changed: Any) -> tuple[NodeState, ...]:
    return tuple(
        NodeState(node.name, (), held=("10.0.4.99",) if node.name in holders else (), **changed) for node in NODES
    )


def shown(report: HealthReport, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(make_table(report, "local"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# ---- the group -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "level", "text"),
    [
        pytest.param(states("iam-b"), Level.OK, "10.0.4.99 is held by iam-b", id="one master"),
        pytest.param(states("iam-a", "iam-b"), Level.FAIL, "10.0.4.99 is held by iam-a and iam-b", id="a split pair"),
        pytest.param(states(), Level.FAIL, "10.0.4.99 is held by no node", id="no master"),
        pytest.param(
            states(reached=False), Level.FAIL,
            "10.0.4.99 is held by no node that responds over SSH (without iam-a, iam-b)", id="no node responds",
        ),
    ],
)  # fmt: skip
def test_each_virtual_ip_must_have_one_master(found: tuple[NodeState, ...], level: Level, text: str) -> None:
    (result,) = check_masters(("10.0.4.99",), found)
    assert (result.level, result.seen) == (level, text)
    assert level is Level.OK or result.look_at


@pytest.mark.parametrize(
    ("offset_s", "level"), [(0.0, Level.OK), (-1.9, Level.OK), (3, Level.WARNING), (-3600, Level.FAIL)]
)
def test_a_clock_that_differs_is_reported(offset_s: float, level: Level) -> None:
    results = check_clocks(states(offset_s=offset_s))
    assert {result.level for result in results} == {level}


# ---- the cloud's view ------------------------------------------------------------------------------------------------


def havip(instance: str, *, attached: Sequence[str] = ("ins-a", "ins-b")) -> dict[str, Any]:
    associations = [{"InstanceId": instance_id} for instance_id in attached]
    return {"Vip": "10.0.4.99", "InstanceId": instance, "HaVipAssociationSet": associations}


class FakeApi:
    """Returns the given HAVIPs, one answer for each call; the last one again."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self.answers = list(answers)
        self.now = 0.0

    def __call__(self, service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert (service, action) == ("vpc", "DescribeHaVips")
        assert parameters["Filters"][0] == {"Name": "vip", "Values": ["10.0.4.99"]}
        return {"HaVipSet": self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]}

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("answers", "level", "text"),
    [
        pytest.param([[havip("ins-b")]], Level.OK, "10.0.4.99 is at iam-b in the cloud", id="the master has it"),
        pytest.param(
            [[havip("ins-a")], [havip("ins-b")]], Level.OK, "10.0.4.99 is at iam-b in the cloud", id="it follows late"
        ),
        pytest.param(
            [[havip("ins-a")]], Level.FAIL, "10.0.4.99 is at iam-a in the cloud, but the master is iam-b", id="it stays"
        ),
        pytest.param(
            [[havip("")]], Level.FAIL, "10.0.4.99 is at no instance in the cloud, but the master is iam-b", id="nobody"
        ),
    ],
)
def test_the_havip_must_point_to_the_master(answers: list[Any], level: Level, text: str) -> None:
    api = FakeApi(*answers)
    (result,) = check_cloud(GROUP, states("iam-b"), api, clock=lambda: api.now, sleep=api.sleep)
    assert (result.level, result.seen) == (level, text)


def test_a_node_that_is_detached_from_the_havip_cannot_take_over() -> None:
    """After `tandem fence` all other checks pass, but clients would not reach the service after a failover."""
    api = FakeApi([havip("ins-b", attached=["ins-b"])])
    failed, holder = check_cloud(GROUP, states("iam-b"), api, clock=lambda: api.now, sleep=api.sleep)
    assert (failed.level, holder.level) == (Level.FAIL, Level.OK)
    assert failed.seen == "10.0.4.99: iam-a cannot take over: not attached to the HAVIP in the cloud"
    assert "tandem up" in failed.look_at


def test_a_havip_at_another_node_than_the_only_master_is_moved_by_a_switchover() -> None:
    api = FakeApi([havip("ins-a")])
    (result,) = check_cloud(GROUP, states("iam-b"), api, clock=lambda: api.now, sleep=api.sleep)
    assert result.look_at.startswith("tandem switchover")
    (result,) = check_cloud(GROUP, states(), api, clock=lambda: api.now, sleep=api.sleep)
    assert "switchover" not in result.look_at, "refused without exactly one master"


def test_a_failure_of_the_group_comes_before_its_consequences() -> None:
    results = (fail("iam.example.com", "answer", "no answer", "nginx"), ok("group", "clocks", "within 2 s"),
               fail("group", "HAVIP", "at iam-a", "tandem switchover"))  # fmt: skip
    ordered = put_causes_first(HealthReport(results)).results
    assert [(each.target, each.name) for each in ordered] == [
        ("group", "HAVIP"), ("iam.example.com", "answer"), ("group", "clocks"),
    ]  # fmt: skip


def test_a_havip_that_was_deleted_is_reported() -> None:
    api = FakeApi([])
    (result,) = check_cloud(GROUP, states("iam-b"), api, clock=lambda: api.now, sleep=api.sleep)
    assert (result.level, result.seen) == (Level.FAIL, "10.0.4.99: the cloud has no HAVIP of this group")


def test_an_api_that_cannot_be_reached_is_a_warning() -> None:
    def refuse(service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        del service, action, parameters
        raise CloudApiError("DescribeHaVips: [AuthFailure] wrong signature")

    (result,) = check_cloud(GROUP, states("iam-b"), refuse)
    assert result.level is Level.WARNING
    assert "AuthFailure" in result.seen


# ---- the table and the JSON ------------------------------------------------------------------------------------------

REPORT = HealthReport(
    (
        ok("iam-a", "units", "14 running"),
        fail("iam-b", "unit iam-pump", "failed [/x] [exit-code]", "journalctl -u iam-pump (on iam-b)"),
        warning("iam-b", "certificate", "node.crt expires in 3 days", "tandem up"),
    )
)


def test_each_line_shows_what_was_seen_and_what_to_look_at_with_its_brackets() -> None:
    text = shown(REPORT)
    assert "failed [/x] [exit-code]" in text
    assert "look at: journalctl -u iam-pump (on iam-b)" in text
    assert "3 checks, 1 failed, 1 warning " in text


def test_results_of_one_target_are_together() -> None:
    text = shown(HealthReport((ok("x", "https", "1"), ok("y", "https", "2"), ok("x", "login", "3"))))
    rows = [line.split("│")[2:4] for line in text.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [["x", "https"], ["", "login"], ["y", "https"]]


def test_only_a_failed_check_makes_the_group_unhealthy() -> None:
    assert not REPORT.healthy
    assert HealthReport(REPORT.results[::2]).healthy


def test_the_json_contains_every_result() -> None:
    data = json.loads(json.dumps(to_json(REPORT)))
    assert data["healthy"] is False
    assert [each["level"] for each in data["checks"]] == ["ok", "fail", "warning"]
    assert data["checks"][1] == {
        "target": "iam-b", "check": "unit iam-pump", "level": "fail", "seen": "failed [/x] [exit-code]",
        "look_at": "journalctl -u iam-pump (on iam-b)",
    }  # fmt: skip


def test_successes_of_one_check_are_one_line() -> None:
    merged = merge_successes([ok("a", "ports", "80"), fail("a", "port 9", "x", "y"), ok("a", "ports", "443")])
    assert [(each.name, each.seen) for each in merged] == [("ports", "80, 443"), ("port 9", "x")]


def test_an_error_with_brackets_is_printed_as_it_is() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_error(OperationError("node says [/x] and [word]"), console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "error: node says [/x] and [word]\n"


# ---- the recorded deployment -----------------------------------------------------------------------------------------


def secret(value: object) -> dict[str, str]:
    """A decrypted secret in `pulumi stack export --show-secrets`."""
    return {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(value),
    }  # fmt: skip


STATE: dict[str, Any] = {
    "resources": [
        {
            "type": "pulumi:pulumi:Stack",
            "outputs": {
                "public_ips": ["203.0.113.10"], "urls": {"api": "https://iam.api.example.com"},
                "certificate_authorities": {"api": "PEM"},
                "sites": {
                    "api": {"domain": "iam.api.example.com", "https": True, "http": "redirect", "default": False}
                },
            },
        },
        {
            "type": "pulumi-python:dynamic/tandem:Rollout",
            "outputs": {
                "group": "tandem-local", "virtual_ips": ["10.0.4.99"], "private_key": secret("KEY"),
                "nodes": [
                    {
                        "name": "iam-a", "instance_id": "ins-a", "private_address": "10.0.4.20", "eligible": True,
                        "ssh_address": "10.0.4.20", "user": "debian", "host_keys": ["ssh-ed25519 AAAA"],
                    }
                ],
                "files": {"iam-a": {"/etc/x": "@@ iam-a:/etc/x\npassword=@@secret:redis_password@@\n"}},
                "manifests": {"iam-a": '@@ iam-a\n{"kind": "File", "path": "/etc/x"}'},
                "values": {}, "secrets": secret({"redis_password": "R", "iam_health_password": "H"}),
            },
        },
    ]
}  # fmt: skip


def test_the_group_is_read_from_the_recorded_state_with_its_secrets() -> None:
    group = read_deployment(STATE, "local")
    assert group.inventory.private_key == "KEY"
    assert group.items == {"iam-a": (File("/etc/x", "password=R\n"),)}
    assert (group.public.password, group.public.services[0].ca) == ("H", "PEM")


@pytest.mark.parametrize("state", [{}, {"resources": STATE["resources"][:1]}, {"resources": STATE["resources"][1:]}])
def test_a_stack_without_a_finished_deployment_has_no_health(state: dict[str, Any]) -> None:
    with pytest.raises(NoDeploymentError, match="nothing is deployed"):
        read_deployment(state, "local")


def test_one_warning_is_in_the_singular() -> None:
    assert "1 check, 0 failed, 1 warning " in shown(HealthReport((warning("iam-a", "x", "y", "z"),)))
