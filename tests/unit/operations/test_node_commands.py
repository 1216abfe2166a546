"""`tandem status | logs | ssh | plan`, on simulated nodes."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from operations.errors import OperationError, UsageError
from operations.events import Preview, ResourceChange
from operations.logs import LogReader, mask
from operations.node_plan import describe_plans, plan_nodes
from operations.recorded import list_secrets
from operations.ssh import open_shell
from operations.status import GroupStatus, duration, gather, show, to_json
from provisioning.errors import NodeError, UnreachableError
from provisioning.health.checks import Group, PublicSide
from provisioning.health.public_checks import Address
from provisioning.health.results import HealthReport, fail, ok
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.file import File, text_sha256
from provisioning.manifest import Manifest
from provisioning.preview_text import show_files, show_items
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import Connect, announced, ask_each

NOW = 1_764_255_600.0
VIP = "10.0.4.99"


def remote(name: str, number: int) -> RemoteNode:
    address = f"10.0.4.{20 + number}"
    return RemoteNode(name, f"ins-{name}", address, address, "debian", (f"ssh-ed25519 AAAA{name}",), eligible=True)


INVENTORY = Inventory("tandem-test", (remote("iam-a", 0), remote("iam-b", 1)), (VIP,), "-----BEGIN KEY-----\nk\n")


def state(*, held: bool) -> dict[str, Any]:
    """The response of the agent's `status`."""
    current = {"revision": "2222", "serial": 2, "at": "2026-11-27 11:03 UTC", "by": "ann@desk"}
    return {
        "now": NOW,
        "held": {VIP: NOW - 7500} if held else {},
        "vrrp": True,
        "draining": False,
        "units": {"nginx": True, "iam-pump": held},
        "packages": {"nginx": "1.22.1-9"},
        "releases": {"/opt/iam/current": "1.2.3"},
        "versions": {"current": current, "previous": None, "unfinished": None, "rejected": {}},
        "traffic": {"requests": 25, "errors": 1, "seconds": 10},
    }


@dataclass
class FakeNode:
    """A connection whose responses are prepared, by operation."""

    node: RemoteNode
    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    closed: int = 0

    def call(self, operations: Sequence[dict[str, Any]], **_options: Any) -> list[Any]:
        self.calls += operations
        results: list[Any] = []
        for operation in operations:
            answer = self.answers[operation["do"]]
            if isinstance(answer, list):
                answer = answer.pop(0)
            if isinstance(answer, Exception):
                raise answer
            results.append(json.loads(json.dumps(answer)))
        return results

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakeNodes:
    nodes: dict[str, FakeNode]
    tried: list[str] = field(default_factory=list[str])

    @classmethod
    def answering(cls, **answers: dict[str, Any]) -> FakeNodes:
        return cls({n.name: FakeNode(n, answers[n.name.replace("-", "_")]) for n in INVENTORY.nodes if n.name.replace("-", "_") in answers})  # fmt: skip  # noqa: E501 - one expression

    def connect(self, node: RemoteNode) -> Connection:
        self.tried.append(node.name)
        if node.name not in self.nodes:
            raise UnreachableError(f"{node.name}: no connection [to port 22]")
        return self.nodes[node.name]


def group() -> Group:
    return Group(PublicSide((Address("203.0.113.10"),), (), "password"), INVENTORY, {})


def healthy(*_: Any) -> HealthReport:
    configuration, certificate = ("configuration", "as deployed"), ("certificate", "site.pem: 300 days left")
    return HealthReport((ok("iam-a", *configuration), ok("iam-a", *certificate)))


def unreachable(*_: Any) -> HealthReport:
    return HealthReport((fail("iam-b", "SSH", "no connection", "console"),))


def text(status: GroupStatus) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(show(status, NOW), highlight=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


BACKUPS = {"20251127T120000Z": {"size": 2048, "replaced": False}}


def test_the_status_is_one_screen() -> None:
    nodes = FakeNodes.answering(
        iam_a={"status": state(held=True), "backups": BACKUPS}, iam_b={"status": state(held=False), "backups": BACKUPS}
    )

    def call_api(service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        del parameters
        assert (service, action) == ("vpc", "DescribeHaVips")
        return {"HaVipSet": [{"Vip": VIP, "InstanceId": "ins-iam-a"}]}

    shown = text(gather(group(), "prod", call_api, nodes.connect, check_health=healthy))
    assert "Stack prod: revision 2222, deployed at 2026-11-27 11:03 UTC by ann@desk" in shown
    assert "virtual IP 10.0.4.99 (public 203.0.113.10): held by iam-a for 2 h 5 min; the HAVIP follows iam-a" in shown
    row = next(line for line in shown.splitlines() if line.startswith("iam-b"))
    assert "1 of 2; not running: iam-pump" in row
    assert row.split()[-2:] == ["2.5", "0.1"]
    assert "health        2 checks, 0 failed, 0 warnings" in shown
    assert "drift         none" in shown
    assert "site.pem: 300 days left" in shown
    assert "backups       1, the newest" in shown
    assert "on iam-a, iam-b" in shown
    assert len(shown.splitlines()) < 24


def test_a_node_that_cannot_be_asked_is_shown_with_its_reason_and_without_markup() -> None:
    nodes = FakeNodes.answering(iam_a={"status": state(held=False), "backups": {}})
    shown = text(gather(group(), "prod", None, nodes.connect, check_health=unreachable))
    row = next(line for line in shown.splitlines() if line.startswith("iam-b"))
    assert row.split() == ["iam-b", "10.0.4.21", "unreachable"]
    assert "drift         iam-b not checked" in shown
    assert "held by NO NODE" in shown
    assert "FAIL iam-b: SSH: no connection (console)" in shown
    assert "backups       none" in shown
    # Without health checks, which have the reason.
    assert "iam-b: no connection [to port 22]" in text(gather(group(), "prod", None, nodes.connect, check_health=None))


def test_the_requests_of_the_checks_are_not_counted() -> None:
    before, after = state(held=True), state(held=True)
    before["traffic"], after["held"] = {"requests": 0, "errors": 0, "seconds": 10}, {}
    nodes = FakeNodes.answering(iam_a={"status": [before, after], "backups": {}})
    found = gather(group(), "prod", None, nodes.connect, check_health=healthy).nodes[0].data
    assert (found["traffic"]["requests"], found["held"]) == (0, {})


def test_a_revision_that_has_not_passed_its_gates_is_named_once() -> None:
    iam_a = state(held=True)
    iam_a["versions"]["unfinished"] = {"revision": iam_a["versions"]["current"]["revision"], "actions": []}
    iam_b = state(held=False)
    iam_b["versions"]["unfinished"] = {"revision": "3333", "actions": []}
    nodes = FakeNodes.answering(iam_a={"status": iam_a}, iam_b={"status": iam_b})
    rows = text(gather(group(), "prod", None, nodes.connect, check_health=None))
    assert f"{iam_a['versions']['current']['revision']} (gates not passed)" in rows
    assert ", 3333 (gates not passed)" in rows
    assert "1.22.1-9" not in rows  # packages are in the JSON data only


def test_health_backups_and_state_share_one_connection_to_each_node() -> None:
    nodes = FakeNodes.answering(iam_a={"health": {}, "status": state(held=True), "backups": BACKUPS})

    def check_over_ssh(group: Group, _: object, connect: Connect | None) -> HealthReport:
        assert connect is not None
        ask_each(group.inventory.nodes, connect, lambda connection: connection.call([{"do": "health"}]))
        return healthy()

    assert "backups       1" in text(gather(group(), "prod", None, nodes.connect, check_health=check_over_ssh))
    # A node that does not respond costs its deadline once.
    assert sorted(nodes.tried) == ["iam-a", "iam-b"]
    asked = [call["do"] for call in nodes.nodes["iam-a"].calls]
    assert (asked, nodes.nodes["iam-a"].closed) == (["status", "health", "backups", "status"], 1)


def test_a_node_that_does_not_answer_soon_is_named_once() -> None:
    shown = list[str]()
    said = threading.Event()

    def report(line: str) -> None:
        shown.append(line)
        said.set()

    def connect(node: RemoteNode) -> Connection:
        assert node.name == "iam-a" or said.wait(20)
        return FakeNode(node)

    slow = announced(connect, set(), after_s=0.01, report=report)
    for node in (INVENTORY.get("iam-b"), INVENTORY.get("iam-b")):
        slow(node)
    patient = announced(connect, set(), after_s=3600, report=report)
    patient(INVENTORY.get("iam-a"))
    assert shown == ["waiting for iam-b (10.0.4.21) ..."]


def test_two_masters_are_both_shown() -> None:
    nodes = FakeNodes.answering(iam_a={"status": state(held=True)}, iam_b={"status": state(held=True)})
    shown = text(gather(group(), "prod", None, nodes.connect, check_health=None))
    assert "held by iam-a for 2 h 5 min AND iam-b for 2 h 5 min" in shown


def test_the_status_as_json_has_the_same_content() -> None:
    nodes = FakeNodes.answering(iam_a={"status": state(held=True), "backups": {}})
    data = to_json(gather(group(), "prod", None, nodes.connect, check_health=healthy))
    assert json.loads(json.dumps(data)) == data
    assert data["virtual_ips"][0]["held_by"] == {"iam-a": NOW - 7500}
    assert [node["error"] for node in data["nodes"]] == ["", "iam-b: no connection [to port 22]"]
    assert data["health"][0]["check"] == "configuration"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(5, "5 s"), (119, "119 s"), (600, "10 min"), (7500, "2 h 5 min"), (400_000, "4 days")]
)
def test_durations_are_readable(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


# ---- logs ------------------------------------------------------------------------------------------------------------


def log(*entries: tuple[float, str], cursor: str = "c") -> dict[str, Any]:
    return {
        "entries": [{"at": at, "unit": "nginx", "text": line} for at, line in entries],
        "position": {"cursor": cursor},
    }


def reader(nodes: FakeNodes, reported: list[str], secrets: Sequence[str] = ()) -> LogReader:
    return LogReader(INVENTORY.nodes, nodes.connect, ("nginx",), secrets, reported.append)


def test_the_lines_of_all_nodes_are_in_the_order_of_their_time() -> None:
    nodes = FakeNodes.answering(
        iam_a={"logs": log((NOW, "first"), (NOW + 2, "third"))}, iam_b={"logs": log((NOW + 1.25, "second"))}
    )
    lines = reader(nodes, []).read("-1h", 10)
    assert [line.text for line in lines] == ["first", "second", "third"]
    assert str(lines[1]) == "2025-11-27 15:00:01.250 iam-b nginx: second"


def test_following_continues_at_the_position_and_after_a_lost_connection() -> None:
    broken = UnreachableError("iam-a: the SSH connection broke")
    nodes = FakeNodes.answering(
        iam_a={"logs": [log((NOW, "one"), cursor="1"), broken, log((NOW + 9, "two"), cursor="2")]},
        iam_b={"logs": log()},
    )
    reported: list[str] = []
    followed = reader(nodes, reported).follow("-1h", 10, sleep=lambda _s: None)
    assert [next(followed).text, next(followed).text] == ["one", "two"]
    assert reported == ["iam-a: iam-a: the SSH connection broke"]
    assert [call["position"] for call in nodes.nodes["iam-a"].calls] == [None, {"cursor": "1"}, {"cursor": "1"}]
    assert nodes.nodes["iam-a"].closed == 1, "the connection that broke"


def test_a_time_that_journalctl_does_not_understand_ends_the_command() -> None:
    wrong = NodeError("iam-a: logs: journalctl ended with exit code 1", seen="Failed to parse timestamp: yesterdy")
    nodes = FakeNodes.answering(iam_a={"logs": wrong}, iam_b={"logs": log()})
    following = reader(nodes, [])
    with pytest.raises(NodeError, match="journalctl"):
        next(following.follow("yesterdy", 10, sleep=lambda _s: None))
    following.close()
    assert [node.closed for node in nodes.nodes.values()] == [1, 1]


def test_lines_with_the_same_time_stay_in_the_order_of_the_journal() -> None:
    traceback = ["Traceback (most recent call last):", '  File "a.py", line 1', "ValueError: x"]
    nodes = FakeNodes.answering(iam_a={"logs": log(*((NOW, line) for line in traceback))})
    assert [line.text for line in reader(nodes, [], []).read("-1h", 10)] == traceback


def test_a_secret_in_a_log_is_masked() -> None:
    recorded = {"secrets": {"redis_password": "hunter22"}, "values": {"node_private_key.iam-a": "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n", "certificate": "public"}, "private_key": "deploy-key"}  # fmt: skip  # noqa: E501 - one value
    nodes = FakeNodes.answering(iam_a={"logs": log((NOW, "AUTH hunter22 failed: MIIEvQ public"))})
    (line,) = reader(nodes, [], list_secrets(recorded)).read("-1h", 10)
    assert line.text == "AUTH [secret] failed: [secret] public"


def test_a_value_as_short_as_a_word_is_not_masked() -> None:
    assert mask("the end", ["e"]) == "the end"


# ---- ssh -------------------------------------------------------------------------------------------------------------


def test_ssh_gets_the_key_in_a_private_directory_that_is_removed() -> None:
    seen: dict[str, Any] = {}

    def run(command: Sequence[str]) -> int:
        config = Path(command[2])
        seen["command"] = list(command)
        seen["modes"] = {oct(stat.S_IMODE(file.stat().st_mode)) for file in config.parent.iterdir()}
        seen["folder"] = config.parent
        seen["folder mode"] = oct(stat.S_IMODE(config.parent.stat().st_mode))
        seen["key"] = (config.parent / "key").read_text()
        seen["known"] = (config.parent / "known_hosts").read_text()
        return 7

    assert open_shell(INVENTORY, "iam-b", ["sudo", "id"], run) == 7
    assert seen["command"][0] == "ssh"
    assert seen["command"][3:] == ["iam-b", "sudo", "id"]
    assert (seen["modes"], seen["folder mode"]) == ({"0o600"}, "0o700")
    assert seen["key"] == "-----BEGIN KEY-----\nk\n"
    assert "iam-b ssh-ed25519 AAAAiam-b\n" in seen["known"]
    assert not seen["folder"].exists()


def test_openssh_understands_the_configuration_and_uses_the_bastion() -> None:
    bastion = replace(remote("bastion", 9), ssh_address="203.0.113.20", eligible=False)
    shown = ""

    def run(command: Sequence[str]) -> int:
        nonlocal shown
        shown = subprocess.run([command[0], "-G", *command[1:]], text=True, capture_output=True, check=True).stdout
        return 0

    open_shell(replace(INVENTORY, bastion=bastion), "iam-a", (), run)
    options = {name: value for name, _, value in (line.partition(" ") for line in shown.splitlines())}
    assert options["hostname"] == "10.0.4.20"
    assert options["user"] == "debian"
    assert options["hostkeyalias"] == "iam-a"
    assert options["stricthostkeychecking"] == "true"
    assert options["proxycommand"].endswith("-W %h:%p bastion")
    assert options["identitiesonly"] == "yes"


def test_an_unknown_node_is_refused_with_the_names_of_the_others() -> None:
    with pytest.raises(UsageError, match=r"NODE must be one of iam-a, iam-b \(got iam-z\)"):
        open_shell(INVENTORY, "iam-z", ())


# ---- plan ------------------------------------------------------------------------------------------------------------


def manifests(text: str, names: Sequence[str] = ("iam-a", "iam-b")) -> dict[str, Any]:
    rendered = {name: Manifest(name, (File("/etc/x.conf", text), File("/etc/secret", "@@secret:word@@\n"))) for name in names}  # fmt: skip  # noqa: E501 - one expression
    return {
        "files": {name: show_files(manifest) for name, manifest in rendered.items()},
        "manifests": {name: show_items(manifest) for name, manifest in rendered.items()},
    }


def recorded() -> dict[str, Any]:
    nodes = [{name: getattr(node, name) for name in RemoteNode.__dataclass_fields__} for node in INVENTORY.nodes]
    keys = {"group": "g", "nodes": nodes, "virtual_ips": [VIP], "private_key": "key"}
    return {**keys, "values": {}, "secrets": {"word": "hunter22"}}


def preview(new: dict[str, Any]) -> Preview:
    return Preview((ResourceChange("urn::rollout", "tandem:Rollout", "update", {}, new),))


def facts(text: str, *, held: bool = False) -> dict[str, Any]:
    texts = {"/etc/x.conf": text, "/etc/secret": "old secret\n"}
    files = {
        path: {"owner": "root", "group": "root", "mode": 0o644, "text": each, "sha256": text_sha256(each)}
        for path, each in texts.items()
    }
    versions = {"current": None, "previous": None, "unfinished": None, "rejected": {}}
    return {
        "answers": {File.kind(): files}, "addresses": [VIP] if held else [], "pending": [],
        "changes": "1", "applied": [], "removed": [], "held_data": {}, "draining": False, "versions": versions,
    }  # fmt: skip


def test_a_failed_preview_asks_no_node() -> None:
    with pytest.raises(OperationError, match="the preview failed"):
        plan_nodes(Preview((), errors=("stacks/Pulumi.prod.yaml has 1 problem",)), recorded(), FakeNodes({}).connect)


def test_the_plan_names_created_removed_and_unreachable_nodes() -> None:
    plans = plan_nodes(preview(manifests("new\n", ("iam-a", "iam-c"))), recorded(), FakeNodes({}).connect)
    assert describe_plans(plans) == [
        "iam-c: will be created",
        "iam-a: iam-a: no connection [to port 22]",
        "iam-b: will be removed",
    ]


def test_the_plan_compares_the_bastion_too() -> None:
    bastion = {**recorded()["nodes"][0], "name": "bastion", "eligible": False}
    names = ("iam-a", "iam-b", "bastion")
    nodes = FakeNodes.answering(iam_a={"facts": facts("new\n")}, iam_b={"facts": facts("new\n")})
    nodes.nodes["bastion"] = FakeNode(replace(INVENTORY.nodes[0], name="bastion"), {"facts": facts("new\n")})
    plans = plan_nodes(preview(manifests("new\n", names)), {**recorded(), "bastion": bastion}, nodes.connect)
    assert [line for line in describe_plans(plans) if not line.startswith(" ")] == [
        "iam-a: 1 change", "iam-b: 1 change", "bastion: 1 change",
    ]  # fmt: skip


def test_the_plan_shows_changed_lines_but_none_of_a_file_with_a_secret_and_the_master_last() -> None:
    nodes = FakeNodes.answering(iam_a={"facts": facts("old\n", held=True)}, iam_b={"facts": facts("new\n")})
    lines = describe_plans(plan_nodes(preview(manifests("new\n")), recorded(), nodes.connect))
    secret = ["  /etc/secret: content differs", "    (not shown: contains a secret)"]
    assert lines == [
        "iam-b: 1 change",
        *secret,
        "iam-a: 2 changes (holds a virtual IP, so it changes last)",
        "  /etc/x.conf: content differs",
        "    -old",
        "    +new",
        *secret,
    ]
    assert [call["do"] for node in nodes.nodes.values() for call in node.calls] == ["facts", "facts"]


def test_a_secret_that_does_not_exist_yet_is_a_change() -> None:
    state_without = {**recorded(), "secrets": {}}
    nodes = FakeNodes.answering(iam_a={"facts": facts("new\n")}, iam_b={"facts": facts("new\n")})
    plans = plan_nodes(preview(manifests("new\n")), state_without, nodes.connect)
    assert [plan.changes[0] for plan in plans] == ["/etc/secret: content differs"] * 2
    assert "hunter22" not in json.dumps([plan.to_data() for plan in plans])
