"""What the nodes of a group may ask of each other."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from provisioning_deployments import deployment

from provisioning.deployment import Deployment
from provisioning.kinds.check import Check
from provisioning.kinds.file import File
from provisioning.kinds.package import Package
from provisioning.kinds.unit import Unit
from provisioning.manifest import render
from provisioning.services.firewall import RULES, desired, offers
from settings.data import DataSettings

HEARTBEATS = "        ip saddr @eligible ip protocol 112 accept"


def rules(of: Deployment, node: str) -> list[str]:
    return render(of)[node].files()[RULES].splitlines()


def set_of(lines: list[str], name: str) -> list[str]:
    begin = lines.index(f"    set {name} {{")
    end = lines.index("    }", begin)
    return [line.split()[0] for line in lines[begin:end] if "comment" in line]


def ports(of: Deployment, node: str) -> dict[int, str]:
    found = next(entry for entry in of.nodes if entry.name == node)
    return {offer.port: offer.to for offer in offers(of, found)}


def test_heartbeats_pass_before_anything_is_dropped_on_each_node_that_may_hold_the_address() -> None:
    of = deployment(application_nodes=1)
    for name in ("iam-a", "iam-b"):
        lines = rules(of, name)
        assert lines.index(HEARTBEATS) < lines.index("        counter drop")
    assert HEARTBEATS not in rules(of, "iam-c")


def test_a_node_is_in_no_set_of_its_own_and_every_other_one_is() -> None:
    of = deployment(application_nodes=1)
    assert set_of(rules(of, "iam-a"), "nodes") == ["10.0.4.21", "10.0.4.22"]
    assert set_of(rules(of, "iam-a"), "eligible") == ["10.0.4.21"]
    assert set_of(rules(of, "iam-c"), "nodes") == ["10.0.4.20", "10.0.4.21"]


def test_databases_are_offered_where_they_are_and_nowhere_else() -> None:
    of = deployment(application_nodes=1)
    services = {8080: "eligible", 9090: "eligible"}
    front = {**services, 80: "nodes", 443: "nodes"}
    assert ports(of, "iam-a") == {**front, 3306: "nodes", 6379: "nodes"}
    assert ports(of, "iam-b") == front
    assert ports(of, "iam-c") == services


def test_databases_elsewhere_open_no_port_here() -> None:
    external = DataSettings.model_validate({"location": "external", "mariadbAddress": "10.0.9.1:3306",
                                            "redisAddress": "10.0.9.2:6379"})  # fmt: skip
    of = dataclasses.replace(deployment(), data=external)
    assert {3306, 6379}.isdisjoint(ports(of, "iam-a"))


def test_ports_of_the_users_own_software_are_open_to_the_group_on_every_node() -> None:
    of = dataclasses.replace(deployment(application_nodes=1), peer_ports=(9100,))
    assert all(ports(of, name)[9100] == "nodes" for name in ("iam-a", "iam-b", "iam-c"))


def test_no_node_of_the_group_is_a_way_to_another_ones_ssh() -> None:
    assert 22 not in ports(deployment(), "iam-a")


def test_another_node_changes_one_line_in_each_set() -> None:
    before, after = (
        rules(deployment(application_nodes=1), "iam-a"),
        rules(deployment(application_nodes=2), "iam-a"),
    )
    added = [line.strip() for line in after if line not in before]
    assert added == ['10.0.4.23 comment "iam-d",']
    assert [line for line in before if line not in after] == []


def test_the_rules_are_judged_on_the_node_and_loaded_by_a_reload() -> None:
    of = deployment()
    items = desired(of, of.nodes[0])
    assert Package("nftables") in items
    assert any(isinstance(item, Check) and item.command == ("nft", "--check", "--file", RULES) for item in items)
    file = next(item for item in items if isinstance(item, File) and item.path == RULES)
    assert [(after.action, after.unit) for after in file.after] == [("reload", "tandem-firewall")]
    assert items[-1] == Unit("tandem-firewall")


@pytest.mark.root
def test_nft_takes_the_rules_twice_and_keeps_them_once(tmp_path: Path) -> None:
    """In a network namespace of its own."""
    of = dataclasses.replace(deployment(application_nodes=1), peer_ports=(9100, 9200))
    for number, node in enumerate(of.nodes):
        path = tmp_path / f"{number}.nft"
        path.write_text("\n".join(rules(of, node.name)) + "\n")
        told = subprocess.run(
            ["unshare", "--net", "sh", "-c", f"nft -f {path} && nft -f {path} && nft list ruleset"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        assert told.stdout.count("chain input") == 1
