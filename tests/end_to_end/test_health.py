"""`tandem health` on a group with faults, and with a certificate of a CA that operating systems do not trust."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.end_to_end.conftest import NAME
from tests.end_to_end.lab import Lab, new_cloud, wait_until
from tests.end_to_end.settings import encrypt, write_settings

pytestmark = pytest.mark.root

AUTHZ = "iam.authz.example.com"
NODES = ["iam-a", "iam-b"]
VIRTUAL_IP = "10.0.4.99"


@dataclass(frozen=True)
class Report:
    code: int
    checks: list[dict[str, Any]]

    def failed(self, target: str) -> dict[str, str]:
        """What was seen by each failed check of a target."""
        return {
            each["check"]: each["seen"]
            for each in self.checks
            if each["level"] == "fail" and each["target"].startswith(target)
        }


def read_health(lab: Lab) -> Report:
    answer = lab.operator("tandem", "health", "--stack", "local", "--json", check=False)
    report = json.loads(answer.stdout)
    assert report["healthy"] == (answer.returncode == 0)
    return Report(answer.returncode, report["checks"])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A group on a separate cloud, whose passphrase encrypts the private key."""
    with new_cloud(f"{NAME}h") as lab:
        settings = write_given_certificate(lab, tmp_path_factory.mktemp("settings"))
        lab.up("--config-file", str(settings))
        yield lab


def write_given_certificate(lab: Lab, folder: Path) -> Path:
    """Write settings with a certificate for one of the names, issued by another CA."""
    ca = trustme.CA()
    issued = ca.issue_cert(AUTHZ)
    key, salt = encrypt(lab, issued.private_key_pem.bytes().decode(), folder)
    given = {
        "certificate": "".join(blob.bytes().decode() for blob in issued.cert_chain_pems),
        "privateKey": {"secure": key},
        "ca": ca.cert_pem.bytes().decode(),
    }
    file = write_settings(folder / "given.yaml", credentials={"server": {"authz": given}})
    file.write_text(yaml.safe_dump({"encryptionsalt": salt}) + file.read_text())
    return file


@pytest.fixture(scope="module")
def faulty(lab: Lab) -> Report:
    """The report while several services and the disk of iam-b, and a service of iam-a, have a fault."""
    broken = "/run/systemd/system/iam-pump.service.d/broken.conf"
    try:
        lab.on("iam-b", "systemctl stop iam-apiserver iam-authz-server")
        lab.localcloud("fault", "iam-b", "fill-disk")
        lab.on(
            "iam-a",
            f"mkdir -p {Path(broken).parent}; printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > {broken}; "
            "systemctl daemon-reload; systemctl restart iam-pump; sleep 4",
        )
        return read_health(lab)
    finally:
        lab.on("iam-a", f"rm -f {broken}; systemctl daemon-reload; systemctl restart iam-pump; systemctl reset-failed")
        lab.localcloud("fault", "iam-b", "heal")
        lab.on("iam-b", "systemctl start iam-apiserver iam-authz-server")


def test_a_group_with_a_certificate_of_another_ca_is_healthy(lab: Lab) -> None:
    report = read_health(lab)
    assert report.failed("") == {}
    seen = {(each["target"].split(" ")[0], each["check"]) for each in report.checks}
    wanted = {"units", "disk", "login", "authorization", "ports", "databases", "nginx", "VRRP", "configuration"}
    assert {check for target, check in seen if target == "iam-b"} >= wanted
    assert {check for target, check in seen if target == "group"} == {
        "virtual IP", "clocks", "spread", "audit records", "HAVIP",
    }  # fmt: skip
    assert {check for target, check in seen if target == AUTHZ} >= {
        "https", "certificate", "redirect", "body too large", "authorization",
    }  # fmt: skip


def test_a_stopped_mariadb_is_named(lab: Lab) -> None:
    lab.on("iam-a", "systemctl stop mariadb")
    try:
        report = read_health(lab)
    finally:
        lab.on("iam-a", "systemctl start mariadb")
    assert report.code == 1
    assert report.failed("iam-a")["unit mariadb"] == "inactive (dead)"
    for node in NODES:
        assert "database does not respond" in report.failed(node)["login"]
        assert "10.0.4.20:3306" in report.failed(node)["database mariadb"]


def test_the_stopped_services_of_one_node_are_named(faulty: Report) -> None:
    assert faulty.code == 1
    failed = faulty.failed("iam-b")
    assert {"unit iam-apiserver", "unit iam-authz-server", "login", "port 8080", "port 9090"} <= failed.keys()
    (spread,) = [each for each in faulty.checks if each["check"] == "spread"]
    assert "iam-b 0 of" in spread["seen"]


def test_a_full_disk_is_named(faulty: Report) -> None:
    assert "/: 100% used" in faulty.failed("iam-b")["disk"]
    assert "disk" not in faulty.failed("iam-a")


def test_a_service_that_restarts_every_second_is_named(faulty: Report) -> None:
    assert "restarted" in faulty.failed("iam-a")["unit iam-pump"]


def test_two_masters_are_named(lab: Lab) -> None:
    lab.localcloud("fault", "iam-b", "isolate-from", "iam-a")
    try:
        wait_until(lambda: lab.masters(VIRTUAL_IP, NODES), NODES.__eq__, deadline_s=15, what="two masters")
        report = read_health(lab)
    finally:
        lab.localcloud("fault", "iam-b", "heal")
    assert report.code == 1
    assert report.failed("group")["virtual IP"] == f"{VIRTUAL_IP} is held by iam-a and iam-b"


def test_the_group_is_healthy_again_without_a_trace_of_the_checks(lab: Lab) -> None:
    """Also shows that the checks use one account, with one secret and one policy, however often they run."""

    def read_after_refresh() -> dict[str, str]:
        # A pump that was cut off takes its lock again when TCP resends its command, and then leaves it. The second
        # refresh that sees the lock deletes it; its timer would take two minutes.
        lab.on("iam-a", "systemctl start iam-refresh")
        return read_health(lab).failed("")

    wait_until(read_after_refresh, lambda failed: not failed, deadline_s=90, what="a healthy group")
    count = "SELECT (SELECT COUNT(*) FROM user), (SELECT COUNT(*) FROM secret), (SELECT COUNT(*) FROM policy)"
    before = lab.on("iam-a", f"mariadb -N iam -e '{count}'")
    assert read_health(lab).failed("") == {}
    assert lab.on("iam-a", f"mariadb -N iam -e '{count}'") == before
