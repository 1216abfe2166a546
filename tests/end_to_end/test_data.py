"""Backups, and the loss of a node or of the data disk, on real nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.conftest import NAME
from tests.end_to_end.lab import CommandError, Lab, new_cloud, wait_until
from tests.end_to_end.settings import encrypt, write_settings

pytestmark = [pytest.mark.root, pytest.mark.long]

NODES = ["iam-a", "iam-b"]
VIRTUAL_IP = "10.0.4.99"
ROWS = 200


# All printable characters: the backup program, the refresh of the caches and all services log in with it.
PASSWORD = "".join(map(chr, [*range(0x21, 0x5F), 0x20, *range(0x5F, 0x7F)]))


@dataclass(frozen=True)
class DataLab(Lab):
    """A group with given passwords of its databases."""

    settings: Path = Path()

    def up(self, *options: str) -> str:
        return super().up("--config-file", str(self.settings), *options)


@pytest.fixture(scope="module")
def deployed_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A group with rows in its database. The tests of this module run in order: each starts from a healthy group."""
    create = "CREATE TABLE kept (number INT PRIMARY KEY) SELECT seq AS number FROM seq_1_to_200"
    folder = tmp_path_factory.mktemp("encrypted")
    with new_cloud(f"{NAME}d") as empty:
        encrypted, salt = encrypt(empty, PASSWORD, folder)
        given = {name: {"secure": encrypted} for name in ("mariadbPassword", "redisPassword")}
        settings = write_settings(folder / "given.yaml", credentials={"given": given})
        settings.write_text(f"encryptionsalt: '{salt}'\n{settings.read_text()}")
        lab = DataLab(empty.name, settings)
        lab.up()
        lab.on("iam-a", f"mariadb iam -e '{create}'")
        yield lab


def test_given_passwords_with_all_printable_characters_work_in_every_service(deployed_data: Lab) -> None:
    lab = deployed_data
    wait_until_healthy(lab)
    for node in NODES:  # reads the password from an EnvironmentFile
        run = "systemctl start iam-refresh && systemctl show -P ExecMainStatus iam-refresh"
        assert lab.on(node, run).strip() == "0"


def rows(lab: Lab) -> int:
    return int(lab.on("iam-a", "mariadb -N iam -e 'SELECT COUNT(*) FROM kept'"))


def users(lab: Lab) -> list[str]:
    return lab.on("iam-a", "mariadb -N iam -e 'SELECT name FROM user ORDER BY name'").split()


def tandem(lab: Lab, *arguments: str) -> str:
    return lab.operator("tandem", *arguments, "--stack", "local").stdout


def wait_until_healthy(lab: Lab) -> None:
    """The host may be busy, so one slow response is not an error. A failure shows the failed checks."""

    def failures() -> list[str]:
        shown = lab.operator("tandem", "health", "--stack", "local", "--json", check=False).stdout
        checks = json.loads(shown)["checks"]
        return [f"{each['target']} {each['check']}: {each['seen']}" for each in checks if each["level"] == "fail"]

    wait_until(failures, lambda failed: not failed, deadline_s=90, what="all health checks pass")


def call(lab: Lab, service: str, action: str, **parameters: Any) -> dict[str, Any]:
    words = [
        word
        for name, value in parameters.items()
        for word in (f"--{name}", value if isinstance(value, str) else json.dumps(value))
    ]
    return json.loads(lab.operator("tccli", service, action, *words).stdout)


def instance_id(lab: Lab, name: str) -> str:
    return next(node["instance_id"] for node in lab.outputs()["nodes"] if node["name"] == name)


def terminate(lab: Lab, name: str) -> None:
    """Terminate an instance outside Tandem, as a person in the console would."""
    gone = instance_id(lab, name)
    call(lab, "cvm", "TerminateInstances", InstanceIds=[gone])
    wait_until(
        lambda: [
            each["InstanceState"]
            for each in call(lab, "cvm", "DescribeInstances")["InstanceSet"]
            if each["InstanceId"] == gone
        ],
        lambda states: states in ([], ["SHUTDOWN"]),
        deadline_s=60,
        what=f"end of {name}",
    )


def test_a_backup_is_complete_on_the_data_disk_and_on_the_other_node(deployed_data: Lab) -> None:
    lab = deployed_data
    assert "created the backup of " in tandem(lab, "backup")
    (line,) = tandem(lab, "backups").splitlines()
    assert line.endswith("on iam-a, iam-b")
    for node, directory in (("iam-a", "/srv/tandem/backups"), ("iam-b", "/var/lib/tandem-backup/received")):
        dump = lab.on(node, f"zcat {directory}/*.sql.gz")
        assert dump.count("\n(") >= ROWS
        assert "TRIGGER" in dump
        assert lab.on(node, f"stat -c %a {directory}/*.sql.gz").split() == ["600"]
    assert "02:00:00 UTC" in lab.on("iam-a", "systemctl cat tandem-backup.timer")
    assert lab.on("iam-a", "systemctl is-active tandem-backup.timer").strip() == "active"


def test_the_key_of_the_data_node_can_only_add_and_read_backups(deployed_data: Lab) -> None:
    lab = deployed_data
    ssh = "ssh -i /etc/tandem/backup/key -o BatchMode=yes -o UserKnownHostsFile=/etc/tandem/backup/known_hosts "
    target = "tandem-backup@10.0.4.21"
    assert "unknown request" in lab.on("iam-a", f"{ssh} {target} id 2>&1 || true")
    assert "unknown request" in lab.on("iam-a", f"{ssh} {target} 'fetch ../../../etc/shadow' 2>&1 || true")
    assert "fetched" not in lab.on("iam-a", f"{ssh} -W 127.0.0.1:80 {target} </dev/null && echo fetched || true")
    assert len(lab.on("iam-a", f"{ssh} {target} list").split()) == 1


def test_a_restore_brings_back_every_row_and_keeps_the_present_data_in_a_backup(deployed_data: Lab) -> None:
    lab = deployed_data
    before = users(lab)
    lab.on("iam-a", "mariadb iam -e 'DELETE FROM kept WHERE number > 100; DELETE FROM user; DROP TABLE policy'")
    restored = tandem(lab, "restore", "--yes")
    assert "restored the backup of " in restored
    assert rows(lab) == ROWS
    assert users(lab) == before
    assert "loaded by tandem" in lab.on("iam-a", "mariadb -N -e 'SHOW CREATE DATABASE iam'")
    # The backup that was made before the restore has the other rows.
    assert len(tandem(lab, "backups").splitlines()) == 2
    kept = restored.partition("--at '")[2].partition("'")[0]
    assert tandem(lab, "restore", "--yes", "--at", kept).startswith("restored")
    assert rows(lab) == 100
    tandem(lab, "restore", "--yes", "--discard", "--at", restored.partition("backup of ")[2].partition(" UTC")[0])
    assert rows(lab) == ROWS
    assert len(tandem(lab, "backups").splitlines()) == 3, "--discard makes no backup"
    wait_until_healthy(lab)


def test_a_terminated_second_node_is_created_again_and_gets_the_backups(deployed_data: Lab) -> None:
    lab = deployed_data
    terminate(lab, "iam-b")
    lab.up()
    assert rows(lab) == ROWS
    wait_until_healthy(lab)
    tandem(lab, "backup")
    lines = tandem(lab, "backups").splitlines()
    assert all("  on iam-a, iam-b" in line for line in lines), lines


def test_a_terminated_first_node_is_created_again_with_all_its_rows(deployed_data: Lab) -> None:
    lab = deployed_data
    terminate(lab, "iam-a")
    lab.up()
    assert rows(lab) == ROWS
    wait_until_healthy(lab)


def test_a_deleted_disk_stops_the_rollout_and_a_restore_brings_the_rows_back(deployed_data: Lab) -> None:
    lab = deployed_data
    (disk,) = [
        each["DiskId"] for each in call(lab, "cbs", "DescribeDisks")["DiskSet"] if each["DiskUsage"] == "DATA_DISK"
    ]
    terminate(lab, "iam-a")
    call(lab, "cbs", "TerminateDisks", DiskIds=[disk])
    with pytest.raises(CommandError) as caught:
        lab.up()
    message = str(caught.value)
    assert "is blank, but a database of this group has held data; no database was created" in message
    assert "on iam-b" in message
    assert "tandem restore" in message
    assert "command not found" not in message
    assert "The next `tandem up` creates the database from the backup of " in tandem(lab, "restore", "--yes")
    lab.up()
    assert rows(lab) == ROWS
    assert "admin" in users(lab)
    wait_until_healthy(lab)
    # The decision was for this loss only.
    assert lab.on("iam-b", "cat /var/lib/tandem/held_data.json").strip() == '{"database": "iam", "node": "iam-a"}'


BUCKET = {"endpoint": "http://cos.ap-guangzhou.myqcloud.com", "name": "backups-1250000000", "prefix": "prod/"}
# Accepts objects in place of COS, and records path and token of each request.
_RECEIVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with open("/root/received", "a") as file:
            print(self.headers["Host"], self.path.split("?")[0], self.headers["X-Amz-Security-Token"], file=file)
        self.send_response(200)
        self.send_header("ETag", "x")
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.9", 9000), Handler).serve_forever()
"""
_REDIRECT = (
    "add table ip cos; add chain ip cos output { type nat hook output priority -100; }; "
    "add rule ip cos output ip daddr 127.0.0.9 tcp dport 80 dnat to 127.0.0.9:9000"
)


def test_a_role_of_the_first_node_uploads_the_backups(deployed_data: DataLab) -> None:
    lab = deployed_data
    settings = yaml.safe_load(lab.settings.read_text())
    settings["config"]["tandem:data"] = {"backup": {"bucket": {**BUCKET, "role": "uploads"}}}
    lab.settings.write_text(yaml.safe_dump(settings))
    lab.up()
    first = instance_id(lab, "iam-a")
    for action, state in (("StopInstances", "STOPPED"), ("StartInstances", "RUNNING")):
        call(lab, "cvm", action, InstanceIds=[first])
        wait_until(
            lambda: call(lab, "cvm", "DescribeInstances", InstanceIds=[first])["InstanceSet"][0]["InstanceState"],
            state.__eq__, deadline_s=90, what=f"iam-a is {state}",
        )  # fmt: skip
    wait_until_healthy(lab)
    host = f"{BUCKET['name']}.cos.ap-guangzhou.myqcloud.com"
    lab.on("iam-a", f"echo '127.0.0.9 {host}' >> /etc/hosts; nft '{_REDIRECT}'")
    lab.on("iam-a", f"cat > /root/receiver.py <<'END'\n{_RECEIVER}\nEND\nsystemd-run -q python3 /root/receiver.py")
    tandem(lab, "backup")
    received = [line.split() for line in lab.on("iam-a", "cat /root/received").splitlines()]
    files = lab.on("iam-a", "cd /srv/tandem/backups; ls *.sql.gz *.queue 2>/dev/null || true").split()
    assert sorted(path for _, path, _ in received) == sorted(f"/prod/{file}" for file in files)
    assert {(name, token == "None") for name, _, token in received} == {(host, False)}
    assert not lab.on("iam-a", "ls /etc/tandem/backup/bucket.env 2>/dev/null || true")
