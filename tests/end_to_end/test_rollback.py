"""Bad releases, rollbacks, unreachable nodes and drift that only a running node shows."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from samples.iam.build import archive
from tests.end_to_end.lab import BIN, CommandError, Lab, wait_until
from tests.end_to_end.settings import write_settings
from tests.load.result import load

pytestmark = pytest.mark.root

NODES = ("iam-a", "iam-b")
VIRTUAL_IP = "10.0.4.99"
RELEASE = "readlink /opt/iam/current"
# Everything that a rollout may change, except what services write while they run.
STATE = (
    "readlink /opt/iam/current; cd /etc; "
    "find iam nginx keepalived tandem systemd/system logrotate.d /usr/local/lib/tandem "
    "! -type d -exec sha256sum {} + | sort; "
    "systemctl is-enabled iam-apiserver iam-authz-server iam-pump nginx keepalived"
)


def make_release(path: Path, program: str, text: str) -> Path:
    """Write a release that is the stand-in with another text of one program."""
    with tarfile.open(fileobj=io.BytesIO(archive())) as old, tarfile.open(path, "w:gz") as new:
        for member in old.getmembers():
            source = old.extractfile(member)
            content = source.read() if source else b""
            if member.name == program:
                content = text.encode()
                member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return path


def refused(lab: Lab, *arguments: str) -> str:
    """Run `tandem`, which must fail. Returns its output."""
    with pytest.raises(CommandError) as caught:
        lab.tandem(*arguments)
    return str(caught.value)


@pytest.fixture
def serving(deployed: Lab) -> Iterator[Lab]:
    yield deployed
    wait_until(
        lambda: deployed.operator("tandem", "health", "--stack", "local", check=False),
        lambda health: health.returncode == 0,
        deadline_s=30,
        what="healthy group",
    )


def test_a_release_that_fails_on_the_first_node_undoes_itself_and_never_reaches_the_second(
    serving: Lab, tmp_path: Path
) -> None:
    bad = make_release(tmp_path / "bad.tar.gz", "bin/iam-authz-server", "#!/bin/sh\necho broken release\nexit 1\n")
    settings = write_settings(tmp_path / "bad.yaml", iam={"release": str(bad)})
    before = {node: serving.on(node, STATE) for node in NODES}
    (master,) = serving.masters(VIRTUAL_IP, list(NODES))
    (first,) = [node for node in NODES if node != master]
    outputs = serving.outputs()

    def client(*command: str) -> list[str]:
        return ["env", f"LOCALCLOUD_NAME={serving.name}", str(BIN / "localcloud"), "client", "--", *command]

    with load(client, outputs, tmp_path, scale=0.1, admin_password=outputs["admin_password"]) as result:
        seen = refused(serving, "up", "--config-file", str(settings))
    assert f"{first} was rolled back to its previous version; the rollout stopped there" in " ".join(seen.split())
    assert {node: serving.on(node, STATE) for node in NODES} == before
    assert result.lost() == [], result.summary()
    assert len(serving.masters(VIRTUAL_IP, list(NODES))) == 1
    assert "unchanged" in serving.up()


def test_a_rolled_back_revision_is_refused_until_the_program_changes(serving: Lab, tmp_path: Path) -> None:
    settings = write_settings(tmp_path / "newer.yaml", nginx={"keepaliveTimeoutS": 33}, iam={"refreshIntervalS": 45})
    newer = ("--config-file", str(settings))
    before = {node: serving.on(node, STATE) for node in NODES}
    serving.up(*newer)
    assert {node: serving.on(node, STATE) for node in NODES} != before
    serving.tandem("rollback")
    assert {node: serving.on(node, STATE) for node in NODES} == before
    status = serving.tandem("status")
    assert "rejected" in status, status
    health = serving.operator("tandem", "health", "--stack", "local", "--json", check=False)
    warned = [each for each in json.loads(health.stdout)["checks"] if "was rolled back at" in each["seen"]]
    assert [(each["target"], each["level"]) for each in warned] == [(node, "warning") for node in NODES]
    for options in (newer, (*newer, "--no-refresh")):
        assert "was rolled back at" in refused(serving, "up", *options)
    assert "was rolled back at" in serving.tandem("refresh", "--diff")
    assert {node: serving.on(node, STATE) for node in NODES} == before
    assert "there is no previous version to return to" in refused(serving, "rollback")
    serving.up(*newer, "--force")
    assert {node: serving.on(node, STATE) for node in NODES} != before
    serving.up()
    assert {node: serving.on(node, STATE) for node in NODES} == before


def test_an_unreachable_node_is_skipped_and_completed_later(serving: Lab, tmp_path: Path) -> None:
    settings = write_settings(tmp_path / "skip.yaml", nginx={"keepaliveTimeoutS": 44}, rollout={"unreachable": "skip"})
    (master,) = serving.masters(VIRTUAL_IP, list(NODES))
    (other,) = [node for node in NODES if node != master]
    timeout = "grep keepalive_timeout /etc/nginx/nginx.conf"
    serving.localcloud("fault", "iam-b", "power-off")
    try:
        seen = serving.up("--config-file", str(settings))
        assert "iam-b could not be reached and is not up to date" in seen
        assert serving.outputs()["incomplete"] == ["iam-b"]
        assert "44s" in serving.on("iam-a", timeout)
    finally:
        serving.localcloud("fault", "iam-b", "power-on")
        wait_until(
            lambda: serving.on("iam-b", "systemctl is-system-running", check=False).strip(),
            {"running", "degraded"}.__contains__,
            deadline_s=60,
            what="boot of iam-b",
        )
    del other
    assert "44s" not in serving.on("iam-b", timeout)
    serving.up("--config-file", str(settings), "--no-refresh")
    assert "44s" in serving.on("iam-b", timeout)
    assert serving.outputs()["incomplete"] == []
    serving.up()


def test_a_reload_that_nginx_does_not_take_is_reported(serving: Lab, tmp_path: Path) -> None:
    settings = write_settings(tmp_path / "reload.yaml", nginx={"keepaliveTimeoutS": 55})
    extra = "/etc/nginx/conf.d/by-hand.conf"
    zone = "limit_req_zone %s zone=x:1m rate=1r/s; server {{ listen 127.0.0.1:8099; limit_req zone=x; }}"
    serving.on("iam-b", f"echo '{zone.format() % '$binary_remote_addr'}' > {extra}; systemctl reload nginx; sleep 1")
    # `nginx -t` accepts another key; the running nginx does not.
    serving.on("iam-b", f"echo '{zone.format() % '$host'}' > {extra}; nginx -t")
    try:
        seen = refused(serving, "up", "--config-file", str(settings))
    finally:
        serving.on("iam-b", f"rm {extra}; systemctl restart nginx")
    assert "nginx kept its old configuration after a reload" in " ".join(seen.split())
    assert 'limit_req "x" uses the "$host" key' in seen
    serving.up()


def test_a_crash_loop_is_drift_that_an_up_repairs(serving: Lab) -> None:
    file = "/etc/iam/iam-pump.yaml"
    serving.on("iam-b", f"echo broken > {file}; systemctl restart iam-pump; sleep 4")
    seen = serving.tandem("refresh", "--diff")
    assert "unit iam-pump: crashes repeatedly" in seen
    serving.up()
    assert serving.on("iam-b", "systemctl is-active iam-pump").strip() == "active"
    assert "unchanged" in serving.up()
