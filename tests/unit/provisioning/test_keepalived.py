from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from provisioning_deployments import deployment
from pydantic import ValidationError

from provisioning.kinds.file import File
from provisioning.kinds.unit import Unit
from provisioning.manifest import render
from provisioning.services.vrrp import PROFILES, Profile
from settings.keepalived import KeepalivedSettings

CONF = "/etc/keepalived/keepalived.conf"


def conf(node: str = "iam-a", **options: Any) -> str:
    text = render(deployment(**options))[node].files()[CONF]
    return re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("profile", ["fast", "balanced"])
def test_non_preemptive_nodes_have_equal_priorities_and_no_nopreempt(profile: str) -> None:
    for node in ("iam-a", "iam-b"):
        text = conf(node, profile=profile)
        assert "priority 250\n" in text
        assert "state BACKUP" in text
        assert "nopreempt" not in text
        assert "vrrp_version 3" in text


def test_vrrp_is_unicast_to_the_peers_only() -> None:
    text = conf("iam-a", application_nodes=2)
    assert "unicast_src_ip 10.0.4.20" in text
    assert re.findall(r"unicast_peer \{\s+([\d.\s]+?)\s+\}", text) == ["10.0.4.21"]
    assert "vrrp_strict" not in text


def test_only_balanced_and_seed_refresh_gratuitous_arp() -> None:
    assert "garp_master_refresh" not in conf(profile="fast")
    assert "garp_master_refresh 5" in conf(profile="balanced")
    assert "garp_master_refresh 5" in conf(profile="seed")


def test_the_seed_profile_has_the_timing_of_the_lectures() -> None:
    a, b = conf("iam-a", profile="seed"), conf("iam-b", profile="seed")
    for text in (a, b):
        for line in ("nopreempt", "advert_int 1", "interval 5", "weight 0", "garp_master_delay 1", "auth_type PASS"):
            assert f"{line}\n" in text
    assert "priority 100\n" in a
    assert "priority 50\n" in b
    assert "vrrp_garp_interval" not in a, "keepalived 2.2.7 rejects 0"


def test_the_seed_profile_runs_no_health_daemon() -> None:
    units = {item.name: item for item in render(deployment(profile="seed"))["iam-a"].items if isinstance(item, Unit)}
    assert not units["tandem-health"].running
    assert not units["tandem-health"].enabled


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_killed_keepalived_restarts_after_its_peer_took_over(profile: Profile) -> None:
    # 3 advertisements and the skew; in VRRPv2 the skew of priority 50 is 0.8 s.
    assert profile.restart_s > 3 * profile.advert_s + (206 / 256 if profile.name == "seed" else profile.advert_s)


@pytest.mark.parametrize("mode", ["preempt", "dual-master"])
def test_a_drain_reverses_the_order_of_different_priorities(mode: str) -> None:
    addresses = ("10.0.4.99", "10.0.4.98") if mode == "dual-master" else ("10.0.4.99",)
    priorities = {
        node: [int(found) for found in re.findall(r"priority (\d+)", conf(node, mode=mode, virtual_ips=addresses))]
        for node in ("iam-a", "iam-b")
    }
    assert priorities["iam-a"] == ([250] if mode == "preempt" else [250, 240])
    assert priorities["iam-b"] == ([240] if mode == "preempt" else [240, 250])
    switchover = render(deployment(mode=mode, virtual_ips=addresses))["iam-a"].files()["/etc/tandem/switchover.json"]
    assert '"drain": -20' in switchover


def test_in_dual_master_mode_each_virtual_ip_has_its_own_virtual_router() -> None:
    text = conf(mode="dual-master", virtual_ips=("10.0.4.99", "10.0.4.98"))
    assert re.findall(r"virtual_router_id (\d+)", text) == ["51", "52"]


@pytest.mark.parametrize("profile", ["fast", "balanced", "seed"])
def test_keepalived_reports_to_the_event_recorder_in_order_and_not_by_scripts(profile: str) -> None:
    text = conf(profile=profile)
    assert "vrrp_notify_fifo /run/tandem/events\n" in text
    assert "notify_master" not in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"virtualRouterId": 256}, "less than", id="a VRID out of range"),
        pytest.param(
            {"virtualRouterId": 255, "mode": "dual-master"},
            "must be at most 254 with mode dual-master",
            id="no VRID for the second address",
        ),
        pytest.param(
            {"profile": "seed", "mode": "preempt"},
            "mode must be nopreempt with profile seed",
            id="preemption in the seed profile",
        ),
        pytest.param(
            {"mode": "preempt", "drainWeight": -10},
            "otherwise a drain does not change the order",
            id="a weight that is too small",
        ),
        pytest.param({"mode": "dual-master", "priorityStep": 20}, "must be -21 or less", id="a step that is too large"),
        pytest.param({"interface": "eth 0"}, "pattern", id="an invalid interface name"),
    ],
)
def test_an_invalid_setting_is_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        KeepalivedSettings.model_validate(settings)


@pytest.mark.parametrize("profile", ["fast", "balanced", "seed"])
@pytest.mark.parametrize("mode", ["nopreempt", "preempt", "dual-master"])
@pytest.mark.root
@pytest.mark.skipif(
    shutil.which("keepalived") is None, reason="keepalived is not installed; keepalived -t runs on the nodes"
)
def test_keepalived_accepts_the_rendered_configuration(tmp_path: Path, profile: str, mode: str) -> None:
    if profile == "seed" and mode != "nopreempt":
        with pytest.raises(ValidationError):
            deployment(profile=profile, mode=mode)
        return
    addresses = ("10.0.4.99", "10.0.4.98") if mode == "dual-master" else ("10.0.4.99",)
    items = render(deployment(profile=profile, mode=mode, virtual_ips=addresses))["iam-a"].items
    for item in items:
        if isinstance(item, File) and item.path.startswith("/etc/keepalived/"):
            target = tmp_path / item.path.rpartition("/")[2]
            text = item.text.replace("@@secret:vrrp_password@@", "abcd1234").replace("/etc/keepalived", str(tmp_path))
            target.write_text(re.sub(r"interface eth0", f"interface {find_interface()}", text))
            target.chmod(item.mode)
    result = subprocess.run(
        ["keepalived", "-t", "-f", str(tmp_path / "keepalived.conf")], capture_output=True, text=True, check=False
    )
    assert result.returncode in (0, 5 if is_writable_by_others(tmp_path) else 0), result.stderr


def is_writable_by_others(path: Path) -> bool:
    """Keepalived exits with 5 for scripts below a directory that other users can write to, such as /tmp."""
    return any(parent.stat().st_mode & 0o022 for parent in path.parents)


def find_interface() -> str:
    shown = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    return next(line.split(": ")[1].split("@")[0] for line in shown.splitlines() if "LOOPBACK" not in line)
