"""The health checks of one node: units, disks, VRRP, ports, and the gate."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.agent import health
from provisioning.agent.node import Node, Result, StepError
from provisioning.agent.web import Response

UNIT = "iam-apiserver"


class FakeNode:
    """A node below a temporary directory, whose commands return prepared texts."""

    def __init__(self, root: Path, **unit: str) -> None:
        self.unit = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NRestarts": "0", **unit}
        self.listening = "LISTEN 0 511 0.0.0.0:80 0.0.0.0:*\nLISTEN 0 4096 10.0.4.20:8080 0.0.0.0:*\n"
        self.nginx = Result(0, "", "")
        self.status = "200"
        self.clock = 0.0
        self.commands: list[list[str]] = []
        self.node = Node(
            root=str(root), runner=self._run, now=lambda: self.clock, sleep=self._sleep, probe=lambda _url: self.status
        )

    def _sleep(self, seconds: float) -> None:
        self.clock += seconds

    def _run(self, argv: list[str], **_: object) -> Result:
        self.commands.append(argv)
        if argv[:2] == ["systemctl", "show"]:
            return Result(0, "\n".join(f"{key}={value}" for key, value in self.unit.items()) + "\n", "")
        texts = {"ss": self.listening, "ip": "[]", "journalctl": "last line\n"}
        return self.nginx if argv[0] == "nginx" else Result(0, texts.get(argv[0], ""), "")

    def check(self, *checks: dict[str, Any], units: tuple[str, ...] = ()) -> list[str]:
        """Run the checks. Returns "LEVEL NAME: SEEN" for each result except disks."""
        answer = health.health(self.node, units=list(units), checks=list(checks), virtual_ips=[], nonce="n")
        return [
            f"{each['level']} {each['name']}: {each['seen']}" for each in answer["results"] if each["name"] != "disk"
        ]


def monotonic_us(seconds_ago: float) -> int:
    return int((time.monotonic() - seconds_ago) * 1e6)


@pytest.mark.parametrize(
    ("shown", "result"),
    [
        pytest.param({}, "ok units: 1 running", id="runs"),
        pytest.param(
            {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"},
            f"fail unit {UNIT}: failed (exit-code)",
            id="failed",
        ),
        pytest.param(
            {"ActiveState": "inactive", "SubState": "dead"}, f"fail unit {UNIT}: inactive (dead)", id="stopped"
        ),
        pytest.param(
            {"LoadState": "not-found", "ActiveState": "inactive"},
            f"fail unit {UNIT}: the unit does not exist",
            id="deleted",
        ),
        pytest.param(
            {"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "9", "Result": "exit-code"},
            f"fail unit {UNIT}: stopped (exit-code), restarted 9 times",
            id="waits for its next restart",
        ),
        pytest.param(
            {"ActiveState": "activating", "SubState": "start", "NRestarts": "3"},
            f"fail unit {UNIT}: activating (start), restarted 3 times",
            id="is being started again",
        ),
        pytest.param(
            {"NRestarts": "1", "seconds_ago": "2"},
            f"warning unit {UNIT}: restarted once",
            id="has just been restarted once",
        ),
        pytest.param(
            {"NRestarts": "7", "seconds_ago": "900"},
            "ok units: 1 running",
            id="restarted long ago",
        ),
    ],
)
def test_a_unit_that_does_not_run_or_restarts_is_reported(tmp_path: Path, shown: dict[str, str], result: str) -> None:
    if seconds_ago := shown.get("seconds_ago"):
        shown = {**shown, "ActiveEnterTimestampMonotonic": str(monotonic_us(float(seconds_ago)))}
    (found,) = FakeNode(tmp_path, **shown).check(units=(UNIT,))
    assert found.startswith(result)


def test_a_drop_in_that_is_not_tandems_is_named_for_a_unit_that_fails(tmp_path: Path) -> None:
    drop_in = "/run/systemd/system/iam-apiserver.service.d/x.conf"
    (found,) = FakeNode(tmp_path, ActiveState="failed", DropInPaths=drop_in).check(units=(UNIT,))
    assert found.endswith(f"; drop-in {drop_in} is not Tandem's")
    assert FakeNode(tmp_path, DropInPaths=drop_in).check(units=(UNIT,)) == ["ok units: 1 running"]


def test_a_unit_that_restarted_often_and_then_stays_is_only_a_warning(tmp_path: Path) -> None:
    """While a node boots, services restart until the database of another node responds."""
    node = FakeNode(tmp_path, NRestarts="7", ActiveEnterTimestampMonotonic=str(monotonic_us(5)))
    (found,) = node.check(units=(UNIT,))
    assert found.startswith(f"warning unit {UNIT}: restarted 7 times, the last time")


def test_a_unit_that_restarts_again_within_two_seconds_fails(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, NRestarts="1", ActiveEnterTimestampMonotonic=str(monotonic_us(1)))

    def restart(_seconds: float) -> None:
        node.unit["NRestarts"] = "2"

    node.node.sleep = restart
    (found,) = node.check(units=(UNIT,))
    assert found.startswith(f"fail unit {UNIT}: restarted 2 times")


def test_the_time_of_the_node_is_that_of_its_wall_clock(tmp_path: Path) -> None:
    answer = health.health(FakeNode(tmp_path).node, units=[], checks=[], virtual_ips=[], nonce="")
    assert abs(answer["now"] - time.time()) < 5


def test_each_file_system_is_reported_with_its_usage(tmp_path: Path) -> None:
    answer = health.health(FakeNode(tmp_path).node, units=[], checks=[], virtual_ips=[], nonce="")
    (disk,) = [each for each in answer["results"] if each["name"] == "disk"]
    assert "% used" in disk["seen"]
    assert "/" in disk["seen"]


def test_the_command_for_a_full_disk_counts_the_files_of_an_overlay() -> None:
    """With -x, du leaves out files whose device differs from that of their directory, as on an overlay."""
    found = health.judge_disk("/", os.statvfs_result((4096, 4096, 1000, 10, 10, 100, 50, 50, 0, 255)))
    assert found["level"] == "fail"
    words = found["look_at"].split(" | ")[0].split()
    assert words[0] == "du"
    assert not any("x" in word for word in words if word.startswith("-") and not word.startswith("--"))


@pytest.mark.parametrize(
    ("files", "unit", "result"),
    [
        pytest.param({}, {}, "ok VRRP: backup", id="backup"),
        pytest.param(
            {"run/tandem/nginx": "-254"}, {}, "fail VRRP: FAULT: nginx does not respond", id="in FAULT"
        ),
        pytest.param(
            {"run/tandem/drain-VI_1": "-10", "run/tandem/agent.zip": "the program of the timer"}, {},
            "fail VRRP: drained by a rollout or an interrupted switchover", id="drained",
        ),
        pytest.param(
            {"run/tandem/drain-VI_1": "-10"}, {}, "warning VRRP: drained by `tandem switchover`", id="by a switchover"
        ),
        pytest.param(
            {"run/tandem/drain-VI_1": "-10", "run/tandem/kept-out.json": '{"node": "iam-a", "until": 8200}'}, {},
            "warning VRRP: drained by `tandem drain`", id="drained by an operator",
        ),
        pytest.param({}, {"ActiveState": "inactive"}, "fail VRRP: keepalived is not running", id="stopped"),
    ],
)  # fmt: skip
def test_an_eligible_node_that_cannot_take_over_is_reported(
    tmp_path: Path, files: dict[str, str], unit: dict[str, str], result: str
) -> None:
    for path, text in {"etc/tandem/switchover.json": '{"tracked": true, "fault": -254}', **files}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert any(found.startswith(result) for found in FakeNode(tmp_path, **unit).check())


def test_a_configuration_that_nginx_cannot_load_is_reported(tmp_path: Path) -> None:
    (tmp_path / "etc/tandem").mkdir(parents=True)
    (tmp_path / "etc/tandem/switchover.json").write_text("{}")
    node = FakeNode(tmp_path)
    node.nginx = Result(1, "", "nginx: [emerg] unexpected end of file")
    assert "fail nginx: nginx -t: nginx: [emerg] unexpected end of file" in node.check()


def test_a_port_without_a_listener_is_reported(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    ports = [
        {"kind": "port", "unit": "nginx", "address": "0.0.0.0", "port": 80},
        {"kind": "port", "unit": UNIT, "address": "10.0.4.20", "port": 8080},
        {"kind": "port", "unit": "x", "address": "10.0.4.20", "port": 9090},
    ]
    assert node.check(*ports) == [
        "ok ports: 80", "ok ports: 8080", "fail port 9090: x does not listen on 10.0.4.20:9090",
    ]  # fmt: skip


# ---- the gate --------------------------------------------------------------------------------------------------------

GATE: dict[str, Any] = {
    "kind": "gate",
    "unit": UNIT,
    "url": "http://10.0.4.20:8080/healthz",
    "status": 200,
    "deadline_s": 60,
}


def test_a_gate_waits_until_its_check_passes(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    node.status = "ConnectionRefusedError"

    def recover(_seconds: float) -> None:
        node.clock += 10
        node.status = "200" if node.clock >= 30 else node.status

    node.node.sleep = recover
    assert health.gate(node.node, **GATE) == 30


def test_a_gate_that_does_not_pass_is_an_error_with_what_was_seen_and_the_journal(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, DropInPaths="/run/systemd/system/x.service.d/x.conf")
    node.status = "502"
    with pytest.raises(StepError) as caught:
        health.gate(node.node, **GATE)
    assert caught.value.message.endswith("; drop-in /run/systemd/system/x.service.d/x.conf is not Tandem's")
    assert caught.value.step == "gate"
    assert f"{UNIT} responds" in caught.value.message
    assert "502" in caught.value.seen
    assert "last line" in caught.value.seen


def test_a_server_that_the_health_daemon_has_taken_out_of_use_is_not_blamed_on_its_unit(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    node.status = "ConnectionRefusedError: [Errno 111] Connection refused"
    (tmp_path / "run/tandem").mkdir(parents=True)
    (tmp_path / "run/tandem/out.json").write_text('[["10.0.4.20", 8080]]')
    (result,) = [each for each in health.health(node.node, units=[], checks=[GATE], virtual_ips=[], nonce="")["results"]
                 if each["name"] != "disk"]  # fmt: skip
    assert result["seen"].startswith(
        "http://10.0.4.20:8080/healthz: taken out of use on this node by the health daemon"
    )
    assert result["look_at"] == f"journalctl -u tandem-health -u {UNIT}"
    (tmp_path / "run/tandem/out.json").write_text('[["10.0.4.21", 8080]]')
    assert any("ConnectionRefusedError" in line for line in node.check(GATE))


# ---- the account for health checks -----------------------------------------------------------------------------------


class FakeIam:
    """The IAM services of one node."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.secrets: list[dict[str, Any]] = []
        self.policies: list[dict[str, Any]] = []
        self.database = True
        self.refuses: Response | None = None  # the answer to the creation of a user
        self.denied = 0  # so many decisions are denied first
        self.decisions: list[str] = []

    def request(self, method: str, url: str, **options: Any) -> Response:
        path = url.partition("//")[2].partition("/")[2].partition("?")[0]
        if path == "v1/authz":
            payload = options["headers"]["Authorization"].split(".")[1]
            expires_at = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
            assert 0 < expires_at - time.time() < 120  # by the wall clock, not by the monotonic one
        return self._routes()[f"{method} {path}"](options.get("body"))

    def _routes(self) -> dict[str, Callable[[Any], Response]]:
        return {
            "POST login": self._log_in, "POST v1/users": self._create_user, "GET v1/secrets": self._list_secrets,
            "POST v1/policies": self._create_policy, "POST v1/secrets": self._create_secret,
            "POST v1/authz": self._decide,
        }  # fmt: skip

    def _log_in(self, body: dict[str, str]) -> Response:
        known = self.database and self.users.get(body["username"]) == body["password"]
        return Response(200, '{"token":"t"}') if known else Response(401, '{"message":"incorrect"}')

    def _create_user(self, body: dict[str, Any]) -> Response:
        name = body["metadata"]["name"]
        if self.refuses is not None:
            return self.refuses
        if not self.database:
            return Response(500, '{"code":100101,"message":"Database error"}')
        if name in self.users:
            return Response(400, '{"code":110002,"message":"User already exist"}')
        self.users[name] = body["password"]
        return Response(200, "{}")

    def _list_secrets(self, _body: None) -> Response:
        items = ",".join(
            f'{{"metadata":{{"name":"{each["name"]}"}},"secretID":"i","secretKey":"k"}}' for each in self.secrets
        )
        return Response(200, f'{{"items":[{items}]}}')

    def _create_policy(self, body: dict[str, Any]) -> Response:
        self.policies.append(body["policy"])
        return Response(200, "{}")

    def _create_secret(self, body: dict[str, Any]) -> Response:
        self.secrets.append(body["metadata"])
        return Response(200, '{"secretID":"i","secretKey":"k"}')

    def _decide(self, body: dict[str, str]) -> Response:
        self.decisions.append(body["resource"])
        self.denied -= 1
        return Response(200, '{"allowed":false,"denied":true}' if self.denied >= 0 else '{"allowed":true}')


ACCOUNT = {
    "kind": "iam_account", "unit": UNIT, "user": "tandem-health", "password": "Health-1234", "nickname": "checks",
    "apiserver": "http://10.0.4.20:8080", "authz": "http://10.0.4.20:9090",
}  # fmt: skip


@pytest.fixture
def iam() -> FakeIam:
    return FakeIam()


def account_results(tmp_path: Path, iam: FakeIam) -> list[str]:
    node = FakeNode(tmp_path)
    node.node.request = iam.request
    return node.check(ACCOUNT)


def test_the_first_check_creates_the_account_and_later_ones_use_it(tmp_path: Path, iam: FakeIam) -> None:
    first = account_results(tmp_path, iam)
    assert [each.split(":")[0] for each in first] == ["ok login", "ok authorization"]
    assert account_results(tmp_path, iam) == first
    assert (len(iam.users), len(iam.secrets), len(iam.policies)) == (1, 1, 1)
    assert iam.decisions == ["tandem:health:n"] * 2
    # The policy grants nothing else.
    assert iam.policies[0]["resources"] == ["tandem:health:<.*>"]


def test_a_new_policy_may_reach_the_authz_server_later(tmp_path: Path, iam: FakeIam) -> None:
    iam.denied = 5
    assert account_results(tmp_path, iam)[1] == "ok authorization: allowed"


def test_the_caches_are_refreshed_if_the_notice_of_a_new_policy_was_lost(tmp_path: Path, iam: FakeIam) -> None:
    iam.denied = 1000
    node = FakeNode(tmp_path)
    node.node.request = iam.request

    def run(argv: list[str], **options: object) -> Result:
        if argv == ["systemctl", "start", "iam-refresh.service"]:
            iam.denied = 0
        return run_as_before(argv, **options)

    run_as_before, node.node.run = node.node.run, run
    assert node.check(ACCOUNT)[1] == "ok authorization: allowed"


def test_a_policy_that_never_arrives_fails(tmp_path: Path, iam: FakeIam) -> None:
    iam.denied = 1000
    assert account_results(tmp_path, iam)[1].startswith("fail authorization: POST http://10.0.4.20:9090/v1/authz: 200")


def test_a_login_that_is_refused_because_the_database_is_down_fails(tmp_path: Path, iam: FakeIam) -> None:
    """The apiserver answers "incorrect Username or Password" while MariaDB is down."""
    account_results(tmp_path, iam)
    iam.database = False
    (found,) = account_results(tmp_path, iam)
    assert found.startswith("fail login")
    assert "the database does not respond" in found


def test_an_account_that_cannot_be_created_fails_with_the_reason(tmp_path: Path, iam: FakeIam) -> None:
    iam.refuses = Response(400, '{"code":100004,"message":"Validation failed"}')
    (found,) = account_results(tmp_path, iam)
    assert found.startswith("fail login")
    assert "Validation failed" in found


def test_a_changed_password_is_a_warning_because_users_can_log_in(tmp_path: Path, iam: FakeIam) -> None:
    iam.users["tandem-health"] = "Changed-1234"
    found = account_results(tmp_path, iam)
    assert [each.split(":")[0] for each in found] == ["warning login", "warning authorization"]
    assert iam.users == {"tandem-health": "Changed-1234"}
