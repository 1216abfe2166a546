"""Sites and services of the user's own, without the IAM services: samples/web and samples/pair on one cloud."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.conftest import NAME
from tests.end_to_end.lab import BIN, ROOT, CommandError, Lab, new_cloud, wait_until
from tests.end_to_end.settings import encrypt
from tests.load.result import load

pytestmark = pytest.mark.root

NODES = ["web-a", "web-b"]
VIRTUAL_IP = "10.0.4.99"
SITE = "www.example.com"
_ECHO = (
    "import socket, sys; c = socket.create_connection((sys.argv[1], 9101), 5); f = c.makefile('rw'); "
    "print(f.readline(), end=''); print('hello', file=f, flush=True); print(f.readline(), end='')"
)


@dataclass(frozen=True)
class Web:
    """The deployed example."""

    lab: Lab
    address: str

    def curl(self, path: str, *options: str, host: str = SITE) -> str:
        url = f"https://{host}{path}"
        return self.lab.client("curl", "-skS", *options, "--connect-to", f"::{self.address}", url).stdout

    def version(self) -> dict[str, str]:
        return json.loads(self.curl("/api/version"))

    def master(self) -> str:
        (master,) = wait_until(
            lambda: self.lab.masters(VIRTUAL_IP, NODES), lambda found: len(found) == 1, deadline_s=20, what="one master"
        )
        return master


def stack_of(sample: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "samples" / sample / "stack.yaml").read_text())


def write_stack(file: Path, settings: dict[str, Any]) -> tuple[str, str]:
    """Write settings. Returns the options of `tandem`."""
    file.write_text(yaml.safe_dump(settings))
    return "--config-file", str(file)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with new_cloud(f"{NAME}s") as lab:
        lab.up("--config-file", "samples/web/stack.yaml")
        yield Web(lab, lab.outputs()["public_ip"])


def test_the_files_of_a_site_are_served(web: Web) -> None:
    assert "<h1>Tandem</h1>" in web.curl("/")
    head = web.curl("/app.css", "-I").lower()
    assert "content-type: text/css" in head
    assert "cache-control: max-age=3600" in head
    for node in NODES:
        assert "/srv/sites/www.example.com/" in web.lab.on(node, "readlink -f /srv/sites/www.example.com/current")


def test_every_instance_of_a_service_answers_through_the_public_address(web: Web) -> None:
    assert {web.version()["node"] for _ in range(20)} == set(NODES)
    assert web.curl("/api/echo", "--data-binary", "x" * 1000) == "x" * 1000


def test_a_websocket_passes_through_nginx(web: Web) -> None:
    program = (sys.executable, "tests/websocket.py", web.address, "443", "/ws", "hello", SITE)
    assert web.lab.client(*program).stdout == "hello\n"


def test_a_tcp_service_is_reached_through_a_stream(web: Web) -> None:
    greetings = {web.lab.client(sys.executable, "-c", _ECHO, web.address).stdout for _ in range(10)}
    assert greetings == {f"echo on {node}\nhello\n" for node in NODES}


def test_a_service_runs_unprivileged_in_its_directories(web: Web) -> None:
    for node in NODES:
        processes = web.lab.on(node, "ps -o user:20= -C api,echo").split()
        assert set(processes) == {"app-api", "app-echo"}
        assert "MemoryMax=134217728" in web.lab.on(node, "systemctl show -p MemoryMax app-api")
        # The packet filter accepts the port from eligible nodes only.
        assert web.lab.client("curl", "-sS", "-m", "3", "http://10.0.4.20:9000/ready", check=False).returncode != 0


def test_nothing_of_the_iam_services_exists(web: Web) -> None:
    for node in NODES:
        assert web.lab.on(node, "ls -d /etc/iam /opt/iam /var/lib/iam; ls /etc/systemd/system/iam-*", check=False) == ""
    outputs = web.lab.outputs()
    assert "admin_password" not in outputs
    assert outputs["urls"] == {SITE: f"https://{SITE}"}
    health = json.loads(web.lab.tandem("health", "--json"))
    assert health["healthy"], health
    assert not {"databases", "login", "authorization", "audit records"} & {each["check"] for each in health["checks"]}
    assert not any("mariadb" in urn.lower() or "redis" in urn.lower() or "jwt" in urn.lower() for urn in web.lab.urns())


def test_a_scheduled_command_runs_on_the_node_with_the_virtual_ip_and_follows_it(web: Web) -> None:
    def runs(node: str) -> list[str]:
        return web.lab.on(node, "cat /var/lib/app-report/runs", check=False).split()

    master = web.master()
    (other,) = [node for node in NODES if node != master]
    before = {node: len(runs(node)) for node in NODES}
    wait_until(lambda: len(runs(master)), lambda count: count >= before[master] + 2, deadline_s=40, what="two runs")
    assert len(runs(other)) == before[other]
    web.lab.on(master, "systemctl stop keepalived")
    try:
        assert web.master() == other
        count = len(runs(master))
        wait_until(lambda: len(runs(other)), lambda seen: seen > before[other], deadline_s=30, what="a run on the peer")
        assert len(runs(master)) == count
    finally:
        web.lab.on(master, "systemctl start keepalived")
    times = [time for node in NODES for time in runs(node)]
    assert len(times) == len(set(times)), "a time was served twice"


def client_of(lab: Lab) -> Callable[..., list[str]]:
    def client(*command: str) -> list[str]:
        return ["env", f"LOCALCLOUD_NAME={lab.name}", str(BIN / "localcloud"), "client", "--", *command]

    return client


def newer_stack(tmp_path: Path, version: str) -> dict[str, Any]:
    """The stack with a release of the API and static files that have another version."""
    settings = stack_of("web")
    shutil.copytree(ROOT / "samples/web/api", tmp_path / "api")
    shutil.copytree(ROOT / "samples/web/static", tmp_path / "static")
    (tmp_path / "api/VERSION").write_text(f"{version}\n")
    page = tmp_path / "static/index.html"
    page.write_text(page.read_text().replace("<h1>Tandem</h1>", f"<h1>Tandem {version}</h1>"))
    settings["config"]["tandem:services"]["api"]["release"] = str(tmp_path / "api")
    settings["config"]["tandem:nginx"]["sites"][0]["content"] = str(tmp_path / "static")
    return settings


def test_a_new_release_under_load_loses_no_request(web: Web, tmp_path: Path) -> None:
    newer = write_stack(tmp_path / "newer.yaml", newer_stack(tmp_path, "2"))
    with load(client_of(web.lab), web.lab.outputs(), tmp_path, scale=0.25, site=(SITE, "/api/version")) as result:
        web.lab.up(*newer)
    assert len(result.records) > 100, result.summary()
    assert result.lost() == [], result.summary()
    assert {web.version()["version"] for _ in range(10)} == {"2"}
    assert "<h1>Tandem 2</h1>" in web.curl("/")
    for node in NODES:
        for directory in ("/opt/app-api", "/srv/sites/www.example.com"):
            assert len(web.lab.on(node, f"ls {directory}").split()) == 3  # two versions and `current`


def test_a_secret_reaches_the_service_and_no_preview(web: Web, tmp_path: Path) -> None:
    secret = 'p"a\\ss $w#rd %1'
    folder = tmp_path / "encrypted"
    folder.mkdir()
    encrypted, salt = encrypt(web.lab, secret, folder)
    settings = stack_of("web")
    settings["encryptionsalt"] = salt
    api = settings["config"]["tandem:services"]["api"]
    api["secrets"] = {"KEY": {"secure": encrypted}}
    api["files"] = {"api.json": '{"key": "${secret.KEY as yaml}"}\n'}
    options = write_stack(tmp_path / "secret.yaml", settings)
    assert secret not in web.lab.tandem("preview", *options)
    web.lab.up(*options)
    for node in NODES:
        environment = web.lab.on(node, "cat /proc/$(systemctl show -P MainPID app-api)/environ").split("\0")
        assert f"KEY={secret}" in environment
        assert json.loads(web.lab.on(node, "cat /etc/app-api/api.json")) == {"key": secret}
        assert web.lab.on(node, "stat -c '%U:%G %a' /etc/app-api/api.json /etc/tandem/app-api.env").split("\n")[:2] == [
            "root:app-api 640",
            "root:root 600",
        ]


def test_a_bad_release_is_rolled_back_and_loses_no_request(web: Web, tmp_path: Path) -> None:
    settings = newer_stack(tmp_path, "3")
    (tmp_path / "api/bin/api").write_text("#!/bin/sh\necho broken release\nexit 1\n")
    settings["config"]["tandem:services"]["api"]["health"] = {"path": "/ready", "deadlineS": 5}
    bad = write_stack(tmp_path / "bad.yaml", settings)
    before = web.version()["version"]
    requests = load(client_of(web.lab), web.lab.outputs(), tmp_path, scale=0.25, site=(SITE, "/api/version"))
    with requests as result, pytest.raises(CommandError) as caught:
        web.lab.up(*bad)
    assert "was rolled back to its previous version" in " ".join(str(caught.value).split())
    assert "broken release" in str(caught.value)
    assert result.lost() == [], result.summary()
    assert {web.version()["version"] for _ in range(10)} == {before}
    assert "<h1>Tandem 3</h1>" not in web.curl("/")


def test_the_pair_of_lecture_004_shows_the_page_of_the_master(web: Web) -> None:
    web.lab.up("--config-file", "samples/pair/stack.yaml")
    for node in NODES:  # the services of the other stack are removed
        assert web.lab.on(node, "ls -d /opt/app-* /etc/systemd/system/app-*", check=False) == ""
    pages = {"web-a": "主机", "web-b": "从机"}
    master = web.master()
    (other,) = [node for node in NODES if node != master]
    assert pages[master] in web.curl("/", host="pair.example.com")
    assert pages[master] in web.lab.client("curl", "-sS", f"http://{web.address}/").stdout
    web.lab.on(master, "systemctl stop nginx")
    try:
        wait_until(
            lambda: web.curl("/", host="pair.example.com"), lambda page: pages[other] in page, deadline_s=15,
            what="the page of the other node",
        )  # fmt: skip
    finally:
        web.lab.on(master, "systemctl start nginx")
