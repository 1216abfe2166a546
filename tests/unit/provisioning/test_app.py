"""Services of the user's own: what a manifest contains for them, and their rollout."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from provisioning_deployments import deployment
from provisioning_fakes import FakeGroup

from provisioning import placeholders
from provisioning.agent.kinds import last_run, steady
from provisioning.agent.node import Node as AgentNode
from provisioning.agent.node import Result, probe
from provisioning.agent.upstreams import join_if_served, leave
from provisioning.deployment import App, Deployment, Node
from provisioning.errors import GateError
from provisioning.kinds.base import Item, restart
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.link import Link
from provisioning.kinds.steady import Steady
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.kinds.user import User
from provisioning.manifest import Manifest
from provisioning.manifest_rendering import render
from provisioning.rollout.rollout import roll_out
from provisioning.services import app, firewall
from provisioning.services.upstreams import upstreams
from settings import archives
from settings.releases import Bundle
from settings.services import ServiceSettings

WEB: dict[str, Any] = {
    "release": "web", "command": ["bin/web", "--listen", "${ADDRESS}:${PORT}"], "port": 9000,
    "health": {"path": "/ready"},
}  # fmt: skip


def with_apps(application_nodes: int = 0, bundle: Bundle | None = None, **services: dict[str, Any]) -> Deployment:
    apps = tuple(
        App(name, ServiceSettings.model_validate(values), bundle or Bundle(f"{name}.tar.gz", "ab" * 32))
        for name, values in services.items()
    )
    return replace(deployment(application_nodes=application_nodes), apps=apps)


def items_of(group: Deployment, number: int = 0) -> list[Item]:
    return app.desired(group, group.nodes[number])


def text_of(path: str, items: list[Item]) -> str:
    (found,) = [item.text for item in items if isinstance(item, File) and item.path == path]
    return found


def unit_of(values: dict[str, Any], number: int = 0) -> list[str]:
    return text_of("/etc/systemd/system/app-web.service", items_of(with_apps(web=values), number)).splitlines()


def test_the_unit_runs_the_command_in_the_release_under_its_own_account() -> None:
    unit = unit_of(WEB)
    assert "ExecStart=/opt/app-web/current/bin/web --listen ${ADDRESS}:${PORT}" in unit
    assert {"User=app-web", "WorkingDirectory=/opt/app-web/current", "StateDirectory=app-web"} <= set(unit)
    assert {"Environment=ADDRESS=10.0.4.20", "Environment=PORT=9000", "Environment=NODE=iam-a"} <= set(unit)
    assert {"ProtectSystem=strict", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "Restart=always"} <= set(unit)


def test_services_with_one_account_agree_about_it() -> None:
    items = items_of(with_apps(web=WEB, worker={"release": "worker", "command": ["bin/w"], "user": "app-web"}))
    assert {item for item in items if isinstance(item, User)} == {User("app-web", home="/var/lib/app-web")}
    unit = text_of("/etc/systemd/system/app-worker.service", items).splitlines()
    assert {"User=app-web", "StateDirectory=app-worker", "Environment=HOME=/var/lib/app-worker"} <= set(unit)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"command": ["python3", "-m", "web"]}, "ExecStart=python3 -m web"),
        ({"command": ["bin/web", "two words", '50% "x"', "a;b"]},
         r'ExecStart=/opt/app-web/current/bin/web "two words" "50%% \"x\"" "a;b"'),
        ({"env": {"GREETING": "100 % sure"}}, 'Environment="GREETING=100 %% sure"'),
        ({"limits": {"memoryMib": 256}}, "MemoryMax=256M"),
        ({"limits": {"cpuPercent": 150}}, "CPUQuota=150%"),
        ({"limits": {"openFiles": 1000}}, "LimitNOFILE=1000"),
        ({"limits": {"tasks": 20}}, "TasksMax=20"),
        ({"stopTimeoutS": 40}, "TimeoutStopSec=40"),
        ({"user": "app-shared"}, "User=app-shared"),
        ({"dependsOn": ["api"]}, "After=app-api.service"),
    ],
)  # fmt: skip
def test_a_setting_is_a_line_of_the_unit(values: dict[str, Any], line: str) -> None:
    assert line in unit_of({**WEB, **values})


def test_a_service_runs_on_the_named_nodes_only() -> None:
    group = with_apps(application_nodes=1, web={**WEB, "instances": ["iam-b", "iam-c"]})
    assert [bool(items_of(group, number)) for number in range(3)] == [False, True, True]
    (upstream,) = [each for each in upstreams(group) if each.name == "web"]
    assert [(server.address, server.port) for server in upstream.servers] == [("10.0.4.21", 9000), ("10.0.4.22", 9000)]


def test_its_port_is_open_to_eligible_nodes_on_its_nodes_only() -> None:
    group = with_apps(web={**WEB, "instances": ["iam-b"]})
    offered = [[offer.to for offer in firewall.offers(group, node) if offer.port == 9000] for node in group.nodes]
    assert offered == [[], ["eligible"]]


def test_secrets_are_placeholders_in_a_file_that_only_root_reads_and_in_the_files_of_the_service() -> None:
    values = {**WEB, "secrets": {"KEY": "hunter2"}, "files": {"web.yaml": 'key: "${secret.KEY as yaml}"\n'}}
    items = items_of(with_apps(web=values))
    (environment,) = [each for each in items if isinstance(each, File) and each.path == "/etc/tandem/app-web.env"]
    assert (environment.text, environment.mode) == ('KEY="@@secret:service.web.KEY as environment@@"\n', 0o600)
    assert text_of("/etc/app-web/web.yaml", items) == 'key: "@@secret:service.web.KEY as yaml@@"\n'
    assert "EnvironmentFile=/etc/tandem/app-web.env" in unit_of(values)
    assert not any("hunter2" in item.text for item in items if isinstance(item, File))


def test_a_pem_key_stays_the_same_in_each_format() -> None:
    secret = '-----BEGIN PRIVATE KEY-----\nMC4CAQ\\"==\n-----END PRIVATE KEY-----\n'
    secrets = {placeholders.service_secret("web", "KEY"): secret}
    texts = {"a.yaml": 'key: "${secret.KEY as yaml}"\n', "a.json": '{"key": "${secret.KEY as yaml}"}\n'}
    items = items_of(with_apps(web={**WEB, "secrets": {"KEY": secret}, "files": texts}))
    found = {path: placeholders.substitute(text_of(f"/etc/app-web/{path}", items), secrets, path) for path in texts}
    assert yaml.safe_load(found["a.yaml"]) == json.loads(found["a.json"]) == {"key": secret}
    quoted = f'"{placeholders.escaped_placeholder(placeholders.service_secret("web", "KEY"), "json")}"'
    assert json.loads(placeholders.substitute(quoted, secrets, "json")) == secret
    environment = placeholders.substitute(text_of("/etc/tandem/app-web.env", items), secrets, "env")
    assert environment == 'KEY="' + secret.replace("\\", "\\\\").replace('"', '\\"') + '"\n'


def test_a_change_of_anything_that_the_service_reads_restarts_it() -> None:
    items = items_of(with_apps(web={**WEB, "secrets": {"KEY": "x"}, "files": {"a.txt": "b"}}))
    restarting = {item.path for item in items if isinstance(item, (File, Link)) and restart("app-web") in item.after}
    assert restarting == {
        "/etc/app-web/a.txt", "/etc/tandem/app-web.env", "/etc/systemd/system/app-web.service", "/opt/app-web/current",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "gate"),
    [
        ({}, Gate("app-web", "http://10.0.4.20:9000/ready")),
        ({"health": {"status": 204, "path": "/x", "deadlineS": 9}},
         Gate("app-web", "http://10.0.4.20:9000/x", 204, 9)),
        ({"health": {}}, Gate("app-web", "tcp://10.0.4.20:9000")),
        ({"health": {}, "port": None}, Steady("app-web", 5)),
    ],
)  # fmt: skip
def test_a_service_has_the_health_gate_that_fits_it(values: dict[str, Any], gate: Item) -> None:
    assert [item for item in items_of(with_apps(web={**WEB, **values})) if isinstance(item, (Gate, Steady))] == [gate]


def test_the_manifest_is_the_same_after_the_way_through_the_state() -> None:
    group = with_apps(web=WEB, job={"release": "job", "command": ["bin/job"], "schedule": "hourly"})
    for name, manifest in render(group).items():
        assert Manifest.from_data(name, manifest.to_data(), manifest.files()) == manifest


# ---- schedules -----------------------------------------------------------------------------------------------------


JOB: dict[str, Any] = {"release": "job", "command": ["bin/job"], "schedule": "*-*-* 03:30:00 UTC"}


def test_a_scheduled_command_has_its_timer_on_every_eligible_node_and_runs_where_the_virtual_ip_is() -> None:
    group = with_apps(application_nodes=1, job=JOB)
    assert [bool(items_of(group, number)) for number in range(3)] == [True, True, False]
    for number in range(2):
        items = items_of(group, number)
        unit = text_of("/etc/systemd/system/app-job.service", items)
        assert "ExecCondition=+/usr/local/lib/tandem/holds-virtual-ip 10.0.4.99\n" in unit
        assert "Type=oneshot\n" in unit
        assert "Restart=" not in unit
        (timer,) = [item for item in items if isinstance(item, Timer)]
        assert (timer.calendar, timer.persistent) == ("*-*-* 03:30:00 UTC", False)
        assert not [item for item in items if isinstance(item, Unit)]


def test_a_command_on_one_named_node_needs_no_virtual_ip() -> None:
    items = items_of(with_apps(application_nodes=1, job={**JOB, "instances": ["iam-c"]}), 2)
    assert "ExecCondition" not in text_of("/etc/systemd/system/app-job.service", items)


@pytest.mark.parametrize(("addresses", "runs"), [
    (["10.0.4.20/24", "10.0.4.99/32"], True),
    (["10.0.4.20/24"], False),
    (["10.0.4.199/24", "110.0.4.99/32"], False),
])  # fmt: skip
def test_the_condition_holds_only_on_the_node_with_the_virtual_ip(
    tmp_path: Path, addresses: list[str], runs: bool  # noqa: FBT001 - a parameter of the table
) -> None:  # fmt: skip
    """The script itself, with a program `ip` that prints these addresses."""
    script = tmp_path / "holds"
    script.write_text(text_of("/usr/local/lib/tandem/holds-virtual-ip", items_of(with_apps(job=JOB))))
    lines = "\n".join(f"2: eth0    inet {address} scope global eth0" for address in addresses)
    (tmp_path / "ip").write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\n")
    (tmp_path / "sleep").write_text("#!/bin/sh\n")
    for name in ("ip", "sleep"):
        (tmp_path / name).chmod(0o755)
    result = subprocess.run(["sh", str(script), "10.0.4.99"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (result.returncode == 0) == runs


def test_a_node_that_loses_the_virtual_ip_in_the_two_seconds_does_not_run_the_command(tmp_path: Path) -> None:
    script = tmp_path / "holds"
    script.write_text(text_of("/usr/local/lib/tandem/holds-virtual-ip", items_of(with_apps(job=JOB))))
    (tmp_path / "ip").write_text(f'#!/bin/sh\n[ -e {tmp_path}/moved ] || echo " inet 10.0.4.99/32 "\n')
    (tmp_path / "sleep").write_text(f"#!/bin/sh\ntouch {tmp_path}/moved\n")
    for name in ("ip", "sleep"):
        (tmp_path / name).chmod(0o755)
    result = subprocess.run(["sh", str(script), "10.0.4.99"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert result.returncode != 0


# ---- the agent's side of the kinds -----------------------------------------------------------------------------------


def shows(text: str, uptime_s: float = 100.0) -> AgentNode:
    class Shown(AgentNode):
        def uptime_s(self) -> float:
            return uptime_s

    def run(_argv: list[str], **_options: object) -> Result:
        return Result(0, text, "")

    return Shown(runner=run)


@pytest.mark.parametrize(("text", "level"), [
    ("ActiveState=active\nSubState=running\nActiveEnterTimestampMonotonic=94000000\n", "ok"),
    ("ActiveState=active\nSubState=running\nActiveEnterTimestampMonotonic=97000000\n", "fail"),
    ("ActiveState=activating\nSubState=auto-restart\nActiveEnterTimestampMonotonic=1\n", "fail"),
])  # fmt: skip
def test_a_service_without_a_port_must_run_for_five_seconds(text: str, level: str) -> None:
    (result,) = steady.check(shows(text), {"unit": "app-worker", "run_s": 5})
    assert result["level"] == level


@pytest.mark.parametrize(("result", "level"), [
    ("success", "ok"), ("exec-condition", "ok"), ("exit-code", "fail"), ("timeout", "fail"),
])  # fmt: skip
def test_a_failed_scheduled_command_is_a_failed_check(result: str, level: str) -> None:
    (found,) = last_run.check(shows(f"Result={result}\nExecMainStatus=3\n"), {"unit": "app-job"})
    assert found["level"] == level


def test_a_tcp_gate_only_connects() -> None:
    assert probe("tcp://127.0.0.1:1").startswith("ConnectionRefusedError")


@pytest.mark.parametrize(
    ("gate", "seen", "joins"),
    [
        ("tcp://10.0.4.20:9000", {"tcp://10.0.4.21:9000": "connected"}, True),
        ("tcp://10.0.4.20:9000", {}, False),
        ("http://10.0.4.20:9000/ready", {"http://10.0.4.21:9000/ready": "200"}, True),
        ("http://10.0.4.20:9000/ready", {"http://10.0.4.21:9000/ready": "503"}, False),
        ("http://10.0.4.20:8080/healthz", {"tcp://10.0.4.21:9000": "connected"}, True),
    ],
    ids=["a TCP service", "one that is down", "a path", "a path that fails", "a service of other nodes"],
)
def test_a_node_puts_a_server_back_that_answers_as_its_own_health_gate_asks(
    tmp_path: Path, gate: str, seen: dict[str, str], joins: bool  # noqa: FBT001 - a parameter of the table
) -> None:  # fmt: skip
    (tmp_path / "etc/tandem").mkdir(parents=True)
    (tmp_path / "etc/tandem/node.json").write_text(json.dumps({"gates": [{"name": "x", "url": gate, "status": 200}]}))
    upstreams_file = tmp_path / "etc/nginx/conf.d/upstreams.conf"
    upstreams_file.parent.mkdir(parents=True)
    text = "upstream web {\n    server 10.0.4.20:9000 max_fails=1;\n    server 10.0.4.21:9000 max_fails=1;\n}\n"
    upstreams_file.write_text(text)

    def run(_argv: list[str], **_options: object) -> Result:
        return Result(0, "", "")

    node = AgentNode(
        root=str(tmp_path), runner=run, probe=lambda url: seen.get(url, "refused"), program=lambda: b"", now=lambda: 1.0
    )
    leave(node, address="10.0.4.21")
    assert "10.0.4.21:9000 down" in upstreams_file.read_text()
    join_if_served(node)
    assert (upstreams_file.read_text() == text) == joins


# ---- rollout on fake nodes -----------------------------------------------------------------------------------------


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return FakeGroup(tmp_path)


def release(directory: Path, version: int) -> Bundle:
    content = archives.pack([("bin/web", f"#!/bin/sh\necho {version}\n".encode(), 0o755)])
    path = directory / f"web-{version}.tar.gz"
    path.write_bytes(content)
    return Bundle(str(path), hashlib.sha256(content).hexdigest())


def deploy(group: FakeGroup, bundle: Bundle | None) -> None:
    made = with_apps(bundle=bundle, web=WEB) if bundle else deployment()
    manifests = {node.name: Manifest(node.name, tuple(_owned(made, node))) for node in made.nodes}
    roll_out(group.inventory, manifests, {}, group.reported.append, connect=group.connect, sleep=group.sleep)


def _owned(made: Deployment, node: Node) -> list[Item]:
    """The items, without what a test that does not run as root cannot do."""
    items = [*app.desired(made, node), Unit("keepalived")]
    return [replace(item, group="root") if isinstance(item, File) else item for item in items
            if item.label != "/etc/app-web"]  # fmt: skip


def current(group: FakeGroup, node: str) -> str:
    link = group.systems[node].root / "opt/app-web/current"
    return (link.parent / link.readlink().name / "bin/web").read_text() if link.is_symlink() else ""


def test_a_release_is_delivered_beside_the_previous_one_and_restarts_the_service(
    group: FakeGroup, tmp_path: Path
) -> None:
    deploy(group, release(tmp_path, 1))
    for system in group.systems.values():
        system.log.clear()
    deploy(group, release(tmp_path, 2))
    for name, system in group.systems.items():
        assert current(group, name).endswith("echo 2\n")
        assert len([each for each in (system.root / "opt/app-web").iterdir() if not each.is_symlink()]) == 2
        assert "restart app-web" in system.log


def test_a_release_that_fails_its_gate_is_rolled_back_and_reaches_no_other_node(
    group: FakeGroup, tmp_path: Path
) -> None:
    deploy(group, release(tmp_path, 1))
    group.silent.add(("iam-a", ":9000"))
    bad = release(tmp_path, 2)
    answers: dict[str, bool] = {}

    def answer(node: str, _url: str) -> str:
        answers[node] = True
        return "503" if current(group, node).endswith("echo 2\n") else "200"

    group.silent.clear()
    group.answers = answer
    with pytest.raises(GateError, match="app-web responds"):
        deploy(group, bad)
    assert [current(group, name).endswith("echo 1\n") for name in group.systems] == [True, True]


def test_a_service_that_leaves_the_settings_is_removed_with_its_releases(group: FakeGroup, tmp_path: Path) -> None:
    deploy(group, release(tmp_path, 1))
    deploy(group, release(tmp_path, 2))
    deploy(group, None)
    for system in group.systems.values():
        assert not (system.root / "opt/app-web").exists()
        assert system.units["app-web"] == "inactive"
        assert "app-web" not in system.enabled
        assert not (system.root / "etc/systemd/system/app-web.service").exists()
