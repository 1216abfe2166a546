"""What scanners and many clients find on deployed nodes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import idle_connections
from tests.end_to_end.group import NODES, VIRTUAL_IP, Group
from tests.end_to_end.lab import Lab
from tests.end_to_end.settings import write_settings
from tests.scanners import install

pytestmark = [pytest.mark.root, pytest.mark.long]
HOST = "iam.api.example.com"
IDLE = 3000
# paramiko, which logs in to the nodes, has no key exchange that withstands quantum computers.
_KNOWN = "does not provide protection against post-quantum attacks"


@pytest.fixture(scope="module")
def scanners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("scanners"))


@pytest.fixture
def ca(deployed: Lab, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    file.write_text(deployed.outputs()["ca_certificate"])
    return file


@pytest.mark.parametrize("node", NODES)
def test_ssh_audit_has_no_finding_above_low(deployed: Lab, scanners: Path, node: str) -> None:
    address = deployed.outputs()["ssh"]["addresses"][node]
    shown = deployed.operator(str(scanners / "ssh-audit"), "--json", "--skip-rate-test", address, check=False).stdout
    found: dict[str, Any] = json.loads(shown)
    notes = [
        f"{kind} {each['algorithm']}: {text}"
        for kind in ("kex", "key", "enc", "mac")
        for each in found[kind]
        for level in ("fail", "warn")
        for text in each["notes"].get(level, ())
    ]
    assert [note for note in notes if not note.endswith(_KNOWN)] == []
    assert found["cves"] == []
    assert found["recommendations"].get("critical", {}) == {}
    assert "chg" not in found["recommendations"].get("warning", {}), "a weak key or modulus"


def test_sslyze_has_no_finding_with_the_ca_of_the_stack(
    deployed: Lab, scanners: Path, ca: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    command = [
        str(scanners / "sslyze"), "--certinfo_ca_file", str(ca), "--sni", HOST, "--mozilla_config", "intermediate",
        "--json_out", str(report), f"{deployed.outputs()['public_ip']}:443",
    ]  # fmt: skip
    shown = deployed.run("localcloud", "client", "--", *command, check=False, timeout_s=180).stdout
    assert "OK - Compliant" in shown, shown[-3000:]
    found: dict[str, Any] = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    vulnerable = {
        "heartbleed": "is_vulnerable_to_heartbleed",
        "openssl_ccs_injection": "is_vulnerable_to_ccs_injection",
        "session_renegotiation": "is_vulnerable_to_client_renegotiation_dos",
        "tls_compression": "supports_compression",
    }
    assert {name: found[name]["result"][key] for name, key in vulnerable.items()} == dict.fromkeys(vulnerable, False)
    assert found["robot"]["result"]["robot_result"].startswith("NOT_VULNERABLE")
    certificate = found["certificate_info"]["result"]["certificate_deployments"][0]
    # Inherent to a private CA: only a client that has the CA trusts the chain.
    trusted = [each["trust_store"]["name"] for each in certificate["path_validation_results"] if each["was_validation_successful"]]  # fmt: skip  # noqa: E501 - one line of names
    assert trusted == ["Supplied CA file"]


def test_3000_idle_connections_through_the_virtual_ip_are_held_while_requests_are_answered(
    group: Group, ca: Path, tmp_path: Path
) -> None:
    # Opening them takes longer than the 65 s after which nginx closes idle ones, on a busy host.
    with group.changed_to(write_settings(tmp_path / "idle.yaml", nginx={"keepaliveTimeoutS": 900})) as deployed:
        hold_and_ask(deployed, ca)


def hold_and_ask(deployed: Lab, ca: Path) -> None:
    (master,) = deployed.masters(VIRTUAL_IP, list(NODES))
    before = {node: deployed.on(node, "wc -l < /var/log/keepalived.log") for node in NODES}
    script = str(Path(idle_connections.__file__))
    command = [sys.executable, script, deployed.outputs()["public_ip"], HOST, str(ca), str(IDLE), "30"]
    shown = deployed.run("localcloud", "client", "--", *command, timeout_s=600).stdout
    found = json.loads(shown)
    assert (found["opened"], found["open"]) == (IDLE, IDLE)
    assert found["statuses"] == [200] * 30
    assert deployed.masters(VIRTUAL_IP, list(NODES)) == [master]
    assert {node: deployed.on(node, "wc -l < /var/log/keepalived.log") for node in NODES} == before
    errors = deployed.on(master, "cat /var/log/nginx/error.log")
    assert "Too many open files" not in errors
    assert "worker_connections are not enough" not in errors
