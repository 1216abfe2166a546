"""A first deployment, requests through the public IP, and removal."""

from __future__ import annotations

import json
import ssl
import sys
from pathlib import Path

import pytest

from tests.end_to_end import host
from tests.end_to_end.conftest import NAME
from tests.end_to_end.lab import Lab

pytestmark = pytest.mark.root

DOMAINS = ("iam.api.example.com", "iam.authz.example.com")


def test_the_first_deployment_is_healthy(deployed: Lab) -> None:
    report = deployed.operator("tandem", "health", "--stack", "local").stdout
    for domain in DOMAINS:
        assert domain in report
    for node in ("iam-a", "iam-b"):
        assert node in report


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_client_on_the_internet_reaches_the_services_through_the_public_ip(
    deployed: Lab, domain: str, tmp_path: Path
) -> None:
    outputs = deployed.outputs()
    authority = tmp_path / "ca.pem"
    authority.write_text(outputs["ca_certificate"])
    ssl.create_default_context(cafile=str(authority))  # raises an error when it is not a certificate
    answer = deployed.client(
        "curl", "--silent", "--show-error", "--fail", "--cacert", str(authority),
        "--connect-to", f"::{outputs['public_ip']}", f"https://{domain}/healthz",
    )  # fmt: skip
    assert json.loads(answer.stdout) == {"status": "ok"}


def test_plain_http_is_redirected_to_https(deployed: Lab) -> None:
    address = deployed.outputs()["public_ip"]
    answer = deployed.client("curl", "--silent", "--head", "--header", f"Host: {DOMAINS[0]}", f"http://{address}/login")
    assert answer.stdout.splitlines()[0].split()[1] == "301"
    assert f"location: https://{DOMAINS[0]}/login" in answer.stdout.lower()


def test_nodes_do_not_delay_a_client(deployed: Lab) -> None:
    program = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"
    assert deployed.client(sys.executable, "-c", program).stdout.strip() == "-6"


def test_the_outputs_are_complete_and_correct(deployed: Lab) -> None:
    outputs = deployed.outputs()
    assert outputs["public_ip"].startswith("203.0.113.")
    assert outputs["public_ips"] == [outputs["public_ip"]]
    assert outputs["virtual_ip"] == "10.0.4.99"
    assert outputs["virtual_ips"] == ["10.0.4.99"]
    assert outputs["urls"] == {"api": f"https://{DOMAINS[0]}", "authz": f"https://{DOMAINS[1]}"}
    assert [(node["name"], node["private_address"]) for node in outputs["nodes"]] == [
        ("iam-a", "10.0.4.20"),
        ("iam-b", "10.0.4.21"),
    ]
    assert all(node["instance_id"].startswith("ins-") for node in outputs["nodes"])
    assert outputs["profile"] == "fast"
    assert outputs["ssh"]["private_key"].startswith("-----BEGIN")
    assert all(address in outputs["known_hosts"] for address in ("10.0.4.20", "10.0.4.21"))
    shown = deployed.run("tandem", "outputs", "--stack", "local", "--json").stdout
    assert "PRIVATE KEY" not in shown


def test_the_outputs_suffice_for_an_ssh_login_with_pinned_host_keys(deployed: Lab, tmp_path: Path) -> None:
    outputs = deployed.outputs()
    key, known = tmp_path / "key", tmp_path / "known_hosts"
    key.touch(mode=0o600)
    key.write_text(outputs["ssh"]["private_key"])
    known.write_text(outputs["known_hosts"])
    answer = deployed.operator(
        "ssh", "-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes",
        "-o", "BatchMode=yes", f"{outputs['ssh']['user']}@10.0.4.21", "hostname",
    )  # fmt: skip
    assert answer.stdout.strip() == "iam-b"


def test_only_one_node_holds_the_virtual_ip_and_the_cloud_reports_it(deployed: Lab) -> None:
    masters = deployed.masters("10.0.4.99", ["iam-a", "iam-b"])
    assert len(masters) == 1
    [held_by] = [node["instance_id"] for node in deployed.outputs()["nodes"] if node["name"] == masters[0]]
    assert held_by in deployed.localcloud("status", "--json")


def test_the_temporary_host_key_is_removed(deployed: Lab) -> None:
    for node in ("iam-a", "iam-b"):
        assert deployed.on(node, "ls /etc/ssh/ssh_host_ecdsa_key 2>/dev/null || true") == ""


def test_a_second_up_changes_nothing(deployed: Lab) -> None:
    def state() -> str:
        return "".join(
            deployed.on(
                node,
                "stat -c '%n %i %y' /etc/nginx/nginx.conf /etc/keepalived/keepalived.conf; "
                "systemctl show -p MainPID,ActiveEnterTimestamp nginx keepalived iam-apiserver",
            )
            for node in ("iam-a", "iam-b")
        )

    before = state()
    again = deployed.up()
    assert state() == before
    summary = again[again.lower().rindex("resources:") :].lower()
    assert "unchanged" in summary
    assert not any(word in summary for word in ("created", "updated", "deleted", "replaced")), again


@pytest.mark.last
def test_down_leaves_no_process_mount_namespace_or_nft_table(deployed: Lab, before: host.Traces) -> None:
    deployed.localcloud("down")
    assert host.read_traces(NAME).beyond(before) == {}
