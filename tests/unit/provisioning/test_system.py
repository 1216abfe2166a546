"""The operating system of the nodes: what a manifest contains for `tandem:system`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from provisioning_deployments import deployment

from provisioning.agent.kinds import hosts, link
from provisioning.agent.node import Node
from provisioning.kinds.base import Item, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.file import File
from provisioning.kinds.hosts import Hosts
from provisioning.kinds.link import Link
from provisioning.kinds.package import Package
from provisioning.kinds.unit import Unit
from provisioning.services import base, system
from settings.system import SystemSettings


def items_of(number: int = 0, **settings: Any) -> list[Item]:
    made = replace(deployment(), system=SystemSettings.model_validate(settings))
    return [*base.desired(made, made.nodes[number]), *system.desired(made, made.nodes[number])]


def file_of(path: str, **settings: Any) -> File | None:
    return next((item for item in items_of(**settings) if isinstance(item, File) and item.path == path), None)


CHRONY = "/etc/chrony/chrony.conf"
JOURNAL = "/etc/systemd/journald.conf.d/tandem.conf"
SSHD = "/etc/ssh/sshd_config.d/00-tandem.conf"
SYSCTL = "/etc/sysctl.d/60-tandem.conf"
UPGRADES = "/etc/apt/apt.conf.d/52tandem"


@pytest.mark.parametrize(
    ("path", "settings", "line"),
    [
        (CHRONY, {}, "server time1.tencentyun.com iburst"),
        (CHRONY, {"timeServers": ["10.0.9.1"]}, "server 10.0.9.1 iburst"),
        (JOURNAL, {"journalMaxMib": 200}, "SystemMaxUse=200M"),
        (JOURNAL, {"journalKeepDays": 7}, "MaxRetentionSec=7day"),
        (SSHD, {}, "PasswordAuthentication no"),
        (SYSCTL, {}, "-net.ipv4.tcp_migrate_req = 1"),
        (SYSCTL, {"sysctls": {"net.core.rmem_max": 8388608}}, "net.core.rmem_max = 8388608"),
        (SYSCTL, {"sysctls": {"kernel.core_pattern": "/var/core.%p"}}, "kernel.core_pattern = /var/core.%p"),
        ("/etc/timezone", {"timeZone": "Asia/Shanghai"}, "Asia/Shanghai"),
        (UPGRADES, {"securityUpdates": True}, 'APT::Periodic::Unattended-Upgrade "1";'),
    ],
)
def test_a_setting_is_a_line_of_a_file(path: str, settings: dict[str, Any], line: str) -> None:
    file = file_of(path, **settings)
    assert file is not None
    assert line in file.text.splitlines()


@pytest.mark.parametrize(
    ("path", "settings"),
    [(CHRONY, {"timeServers": []}), (SSHD, {"hardenSsh": False}), (UPGRADES, {}), ("/etc/timezone", {})],
)
def test_what_is_not_set_is_left_to_the_image(path: str, settings: dict[str, Any]) -> None:
    assert file_of(path, **settings) is None


def test_chrony_is_installed_and_runs_only_with_time_servers() -> None:
    assert {Package("chrony"), Unit("chrony")} <= set(items_of())
    assert not {Package("chrony"), Unit("chrony")} & set(items_of(timeServers=[]))


def test_the_names_of_the_group_are_in_the_hosts_file_and_other_lines_are_kept(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc/hosts"
    file.write_text("127.0.0.1 localhost\n")
    node = Node(root=str(tmp_path))
    (item,) = [item for item in items_of() if isinstance(item, Hosts)]
    assert item.lines[:2] == ("10.0.4.20 iam-a", "10.0.4.21 iam-b")
    assert item.lines[2] == "10.0.4.99 iam.api.example.com iam.authz.example.com"
    for wanted in (item, Hosts(("10.0.4.20 iam-a",)), item):
        assert wanted.compare(hosts.facts(node, [wanted.question()])) is not None
        hosts.prepare(node, [wanted.operation()])
        assert wanted.compare(hosts.facts(node, [wanted.question()])) is None
    text = file.read_text()
    assert text.startswith("127.0.0.1 localhost\n")
    assert text.count("iam-a") == 1


def test_the_time_zone_is_a_link_and_a_zone_that_the_node_lacks_is_refused(tmp_path: Path) -> None:
    (item,) = [each for each in items_of(timeZone="US/Eastern") if isinstance(each, Link)]
    zone = tmp_path / "usr/share/zoneinfo/US/Eastern"
    zone.parent.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    node = Node(root=str(tmp_path))
    missing = link.facts(node, [item.question()])
    assert item.refusal(missing) == "the target /usr/share/zoneinfo/US/Eastern does not exist"
    assert "America/New_York instead of US/Eastern" in item.advice()
    zone.write_text("TZif")
    present = link.facts(node, [item.question()])
    assert (item.refusal(present), item.compare(present)) == (None, "missing")
    link.commit(node, item.operation())
    assert item.compare(link.facts(node, [item.question()])) is None
    zone.unlink()
    assert item.refusal(link.facts(node, [item.question()])) is not None


def test_updates_leave_out_what_a_rollout_manages() -> None:
    file = file_of(UPGRADES, securityUpdates=True)
    assert file is not None
    for name in ("nginx", "keepalived", "mariadb", "redis"):
        assert f'"{name}";' in file.text


def test_sshd_is_checked_and_reloaded() -> None:
    file = file_of(SSHD)
    assert file is not None
    assert file.after == (reload("ssh"),)
    assert any(isinstance(item, Check) and item.command == ("/usr/sbin/sshd", "-t") for item in items_of())


def test_a_changed_limit_of_the_journal_restarts_journald() -> None:
    file = file_of(JOURNAL)
    assert file is not None
    assert file.after == (restart("systemd-journald"),)
