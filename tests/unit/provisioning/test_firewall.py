"""The ports that nodes of a group open to each other."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from provisioning_deployments import deployment

from provisioning.deployment import Deployment
from provisioning.kinds.check import Check
from provisioning.kinds.file import File
from provisioning.kinds.package import Package
from provisioning.kinds.unit import Unit
from provisioning.manifest_rendering import render
from provisioning.services.data import external_addresses
from provisioning.services.firewall import RULES, desired, offers
from settings.data import DataSettings, MongodbSettings

HEARTBEATS = "        ip saddr @eligible ip protocol { 51, 112 } accept"


def rules(of: Deployment, node: str) -> list[str]:
    return render(of)[node].files()[RULES].splitlines()


def set_of(lines: list[str], name: str) -> list[str]:
    begin = lines.index(f"    set {name} {{")
    end = lines.index("    }", begin)
    return [line.split()[0] for line in lines[begin:end] if "comment" in line]


def ports(of: Deployment, node: str) -> dict[int, str]:
    found = next(entry for entry in of.nodes if entry.name == node)
    return {offer.port: offer.to for offer in offers(of, found)}


def test_eligible_nodes_accept_vrrp_before_the_drop_rule() -> None:
    of = deployment(application_nodes=1)
    for name in ("iam-a", "iam-b"):
        lines = rules(of, name)
        assert lines.index(HEARTBEATS) < lines.index("        counter drop")
    assert HEARTBEATS not in rules(of, "iam-c")


def test_the_sets_contain_all_nodes_except_the_node_itself() -> None:
    of = deployment(application_nodes=1)
    assert set_of(rules(of, "iam-a"), "nodes") == ["10.0.4.21", "10.0.4.22"]
    assert set_of(rules(of, "iam-a"), "eligible") == ["10.0.4.21"]
    assert set_of(rules(of, "iam-c"), "nodes") == ["10.0.4.20", "10.0.4.21"]


def test_only_the_data_node_opens_the_ports_of_the_databases() -> None:
    of = deployment(application_nodes=1)
    services = {8080: "eligible", 9090: "eligible"}
    front = {**services, 80: "nodes", 443: "nodes"}
    assert ports(of, "iam-a") == {**front, 3306: "nodes", 6379: "nodes"}
    # The second node receives the backups by SSH.
    assert ports(of, "iam-b") == {**front, 22: "data"}
    assert set_of(rules(of, "iam-b"), "data") == ["10.0.4.20"]
    assert ports(of, "iam-c") == services


def test_mongodb_on_a_node_is_open_to_the_pumps_of_all_nodes() -> None:
    data = DataSettings(mongodb=MongodbSettings(address="10.0.4.20:27017"))
    of = dataclasses.replace(deployment(application_nodes=1), data=data)
    assert [[offer.to for offer in offers(of, node) if offer.port == 27017] for node in of.nodes] == [["nodes"], [], []]
    assert external_addresses(of) == {}, "it does not run yet when the candidates are checked"


@pytest.mark.parametrize(
    ("others", "opened"),
    [
        pytest.param({}, {"udp dport"}, id="only UDP"),
        pytest.param(
            {"streams": [{"port": 53, "upstream": "dns"}]}, {"udp dport", "tcp dport"}, id="DNS over UDP and TCP"
        ),
        pytest.param(
            {"sites": [{"hosts": ["dns.example.com"], "locations": [{"path": "/", "proxy": "dns"}]}]},
            {"udp dport", "tcp dport"},
            id="DNS and its page",
        ),
    ],
)
def test_a_server_is_open_for_each_protocol_that_nginx_uses(others: dict[str, Any], opened: set[str]) -> None:
    udp = {"port": 53, "upstream": "dns", "protocol": "udp"}
    nginx = {"upstreams": {"dns": {"servers": [{"address": "iam-b", "port": 5353}]}}, **others}
    of = deployment(nginx={**nginx, "streams": [*others.get("streams", []), udp]})
    assert {offer.match for offer in offers(of, of.nodes[1]) if offer.port == 5353 and "dport" in offer.match} == opened
    probed = json.loads(render(of)["iam-a"].files()["/etc/tandem/health.json"])["services"]
    assert ("dns" in {service["name"] for service in probed}) == ("tcp dport" in opened)


def test_external_databases_open_no_port() -> None:
    external = DataSettings.model_validate({"location": "external", "mariadbAddress": "10.0.9.1:3306",
                                            "redisAddress": "10.0.9.2:6379"})  # fmt: skip
    of = dataclasses.replace(deployment(), data=external)
    assert {3306, 6379}.isdisjoint(ports(of, "iam-a"))


def test_peer_ports_are_open_to_the_group_on_every_node() -> None:
    of = dataclasses.replace(deployment(application_nodes=1), peer_ports=(9100,))
    assert all(ports(of, name)[9100] == "nodes" for name in ("iam-a", "iam-b", "iam-c"))


def test_ssh_is_not_open_to_other_nodes() -> None:
    assert 22 not in ports(deployment(), "iam-a")


def test_an_additional_node_adds_one_line() -> None:
    before, after = (
        rules(deployment(application_nodes=1), "iam-a"),
        rules(deployment(application_nodes=2), "iam-a"),
    )
    added = [line.strip() for line in after if line not in before]
    assert added == ['10.0.4.23 comment "iam-d",']
    assert [line for line in before if line not in after] == []


def test_the_rules_are_checked_on_the_node_and_loaded_by_a_reload() -> None:
    of = deployment()
    items = desired(of, of.nodes[0])
    assert Package("nftables") in items
    assert any(isinstance(item, Check) and item.command == ("nft", "--check", "--file", RULES) for item in items)
    file = next(item for item in items if isinstance(item, File) and item.path == RULES)
    assert [(after.action, after.unit) for after in file.after] == [("reload", "tandem-firewall")]
    assert items[-1] == Unit("tandem-firewall")


@pytest.mark.root
def test_nft_accepts_the_rules_twice_without_duplicates(tmp_path: Path) -> None:
    """Runs in a separate network namespace."""
    of = dataclasses.replace(deployment(application_nodes=1), peer_ports=(9100, 9200))
    for number, node in enumerate(of.nodes):
        path = tmp_path / f"{number}.nft"
        path.write_text("\n".join(rules(of, node.name)) + "\n")
        result = subprocess.run(
            ["unshare", "--net", "sh", "-c", f"nft -f {path} && nft -f {path} && nft list ruleset"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("chain input") == 1
