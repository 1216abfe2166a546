from __future__ import annotations

import json
import re
from typing import Any

import pytest
from provisioning_deployments import deployment
from pydantic import ValidationError

from provisioning.kinds.unit import Unit
from provisioning.manifest_rendering import render
from provisioning.services.vrrp import PROFILES, Profile
from settings.keepalived import KeepalivedSettings

REAL = {"address": "10.0.4.30", "port": 80}
LVS = {"address": "10.0.4.99", "port": 80}
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


def refreshing(**options: Any) -> list[str]:
    """The virtual routers that repeat their announcements, such as "iam-a VI_1"."""
    found: list[str] = []
    for node in ("iam-a", "iam-b"):
        for router in conf(node, **options).split("vrrp_instance ")[1:]:
            found += [f"{node} {router.split()[0]}"] if "garp_master_refresh 5\n" in router else []
    return found


@pytest.mark.parametrize(
    ("options", "nodes"),
    [
        pytest.param({"profile": "balanced"}, ["iam-a VI_1", "iam-b VI_1"], id="balanced"),
        pytest.param({"profile": "seed"}, ["iam-a VI_1", "iam-b VI_1"], id="seed"),
        pytest.param({"profile": "fast"}, ["iam-b VI_1"], id="fast: the higher address wins"),
        pytest.param({"profile": "fast", "mode": "preempt"}, ["iam-a VI_1"], id="fast: the higher priority wins"),
        pytest.param({"profile": "fast", "mode": "dual-master", "virtual_ips": ("10.0.4.99", "10.0.4.98")},
                     ["iam-a VI_1", "iam-b VI_2"], id="fast: each node wins one"),
        pytest.param({"profile": "fast", "keepalived": {"garp": {"masterRefreshS": 5}}},
                     ["iam-a VI_1", "iam-b VI_1"], id="set"),
    ],
)  # fmt: skip
def test_the_node_that_stays_master_after_a_split_repeats_its_announcements(
    options: dict[str, Any], nodes: list[str]
) -> None:
    """A HAVIP at the other node then returns within 5 s. If both repeated them, it would move all the time."""
    assert refreshing(**options) == nodes


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
    # The missing advertisements and the skew; in VRRPv2 the skew of priority 50 is 0.8 s.
    skew_s = 206 / 256 if profile.name == "seed" else profile.advert_s
    assert profile.restart_s > profile.down_adverts * profile.advert_s + skew_s


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


@pytest.mark.parametrize("mode", ["nopreempt", "preempt"])
def test_a_drain_and_a_failed_check_have_an_effect_beside_positive_weights(mode: str) -> None:
    """The limit of a priority is 254: nodes above it are equal, whatever a check or a drain changes."""
    scripts = [{"name": name, "command": "/usr/bin/true", "weight": 20} for name in ("disk", "load")]
    options: dict[str, Any] = {"mode": mode, "keepalived": {"track": {"scripts": scripts}}}
    (a,), (b,) = (map(int, re.findall(r" priority (\d+)", conf(node, **options))) for node in ("iam-a", "iam-b"))
    switchover = json.loads(render(deployment(**options))["iam-a"].files()["/etc/tandem/switchover.json"])
    assert a + 40 <= 254
    assert b + 40 > a + 40 + switchover["drain"]
    assert b + 40 > a + 20
    assert switchover["preferred"] == ([] if mode == "nopreempt" else ["10.0.4.99"])


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
        pytest.param({"vrrpIptables": True}, "only has an effect with vrrp_strict", id="vrrp_iptables"),
        pytest.param({"multicastGroup": "224.0.0.18"}, "both nodes would become master", id="a multicast group"),
        pytest.param({"authentication": "AH"}, "must be none with vrrpVersion 3", id="VRRPv3 with authentication"),
        pytest.param(
            {"vrrpVersion": 2, "profile": "fast"},
            "sends advertisements once a second",
            id="fast VRRPv2",
        ),
        pytest.param(
            {"profile": "seed", "track": {"interfaces": [{"interface": "eth1", "weight": -5}]}, "addressLabels": True},
            "addressLabels, track cannot be set with profile seed",
            id="options in the lecture's text",
        ),
        pytest.param(
            {"mode": "preempt", "track": {"scripts": [{"name": "x", "command": "/usr/bin/true", "weight": 10}]}},
            r"track.scripts\[0\].weight must exceed priorityStep 10",
            id="the lecture's weight of 10, which never moves the virtual IP",
        ),
        pytest.param(
            {"track": {"scripts": [{"name": "x", "command": "/usr/bin/true", "weight": 0}]}},
            "neither of them holds the virtual IP",
            id="a check that puts both nodes into FAULT",
        ),
        pytest.param(
            {"track": {"scripts": [{"name": "x", "command": "pidof nginx", "weight": -20}]}}, "pattern", id="no path"
        ),
        pytest.param(
            {"notifyCommand": "/bin/true -x"}, r"such as /usr/bin/true \(got /bin/true\): keepalived 2.3", id="a link"
        ),
        pytest.param(
            {"track": {"scripts": [{"name": "x", "command": '/usr/bin/a"\n}', "weight": -20}]}}, "pattern", id="a quote"
        ),
        pytest.param(
            {"track": {"files": [{"name": "drain_vi_1", "path": "/x", "weight": -1}]}},
            "cannot begin with",
            id="a reserved name",
        ),
        pytest.param(
            {
                "track": {
                    "files": [{"name": "x", "path": "/x", "weight": -1}, {"name": "x", "path": "/y", "weight": -1}]
                }
            },
            "must be unique",
            id="one name twice",
        ),
        pytest.param({"mode": "preempt", "syncGroup": True}, "must be nopreempt with syncGroup", id="sync, preempt"),
        *(
            pytest.param(
                {
                    "lvsNetwork": "switched",
                    "virtualServers": [{**LVS, "check": {"type": "HTTP_GET", "path": path}, "realServers": [REAL]}],
                },
                "pattern",
                id=f"the path {path}, which keepalived does not read as one",
            )
            for path in ("/a#b", "/a!b", "/a}b", '/a"b', "/$a")
        ),
        pytest.param(
            {"track": {"interfaces": [{"interface": f"eth{n}", "weight": 60} for n in (1, 2)]}},
            r"positive weights in track must be at most 100 in all \(got 120\)",
            id="positive weights without room",
        ),
        pytest.param(
            {"track": {"files": [{"name": "load", "path": "/run/load", "weight": 2}]}},
            r"must be negative \(got 2\)",
            id="a file that raises the priority without a limit",
        ),
        pytest.param(
            {"syncGroup": True, "track": {"interfaces": [{"interface": "eth1", "weight": -5}]}},
            "track must be empty with syncGroup",
            id="weights in a sync group",
        ),
        pytest.param(
            {
                "lvsNetwork": "switched",
                "virtualServers": [{**LVS, "realServers": [{"address": "10.0.4.30", "port": 81}]}],
            },
            r"realServers\[0\].port must be 80 with kind DR",
            id="another port with DR",
        ),
        pytest.param(
            {"lvsNetwork": "switched", "virtualServers": [{**LVS, "realServers": [{**REAL, "weight": 2}]}]},
            "cannot be set with method rr, which ignores weights",
            id="weights with rr",
        ),
        *(
            pytest.param(
                {
                    "lvsNetwork": "switched",
                    "virtualServers": [
                        {**LVS, "protocol": protocol, "check": {"type": check}, "realServers": [REAL]},
                    ],
                },
                rf"check.type must be {allowed} with protocol {protocol} \(got {check}\)",
                id=f"{check} of a {protocol} server",
            )
            for protocol, check, allowed in (
                ("UDP", "TCP_CHECK", "UDP_CHECK"),
                ("UDP", "HTTP_GET", "UDP_CHECK"),
                ("TCP", "UDP_CHECK", "TCP_CHECK or HTTP_GET"),
            )
        ),
        pytest.param(
            {"lvsNetwork": "switched", "virtualServers": [{**LVS, "realServers": [REAL, REAL]}]},
            "must be unique",
            id="a real server twice",
        ),
        pytest.param(
            {"lvsNetwork": "switched", "virtualServers": [{**LVS, "realServers": [REAL]}] * 2},
            r"virtualServers\[1\] must be unique",
            id="a virtual server twice",
        ),
    ],
)
def test_an_invalid_setting_is_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        KeepalivedSettings.model_validate(settings)


def test_restarts_of_keepalived_have_no_limit_and_do_not_wait_for_nginx() -> None:
    unit = render(deployment())["iam-a"].files()["/etc/systemd/system/keepalived.service.d/tandem.conf"]
    assert "StartLimitIntervalSec=0\n" in unit[: unit.index("[Service]")]
    (after,) = re.findall(r"^After=(.*)$", unit, flags=re.MULTILINE)
    assert "tandem-health.service" in after
    assert "nginx" not in after, "if nginx cannot start on both nodes, one of them must hold the virtual IP"


@pytest.mark.parametrize("profile", ["fast", "balanced", "seed"])
def test_the_log_of_state_changes_is_rotated(profile: str) -> None:
    files = render(deployment(profile=profile))["iam-a"].files()
    assert "/var/log/keepalived.log {" in files["/etc/logrotate.d/keepalived"]


def test_the_daemon_log_is_a_separate_file_if_requested() -> None:
    files = render(deployment(keepalived={"daemonLog": "file"}))["iam-a"].files()
    assert "--log-facility 6 " in files["/etc/systemd/system/keepalived.service.d/tandem.conf"]
    assert "local6.* /var/log/keepalived-daemon.log" in files["/etc/rsyslog.d/30-keepalived.conf"]
    assert "/var/log/keepalived-daemon.log {" in files["/etc/logrotate.d/keepalived"]
    assert "/etc/rsyslog.d/30-keepalived.conf" not in render(deployment())["iam-a"].files()


def test_only_real_servers_of_the_group_have_the_virtual_ip_on_their_loopback_interface() -> None:
    servers = [{**LVS, "realServers": [{"address": "10.0.4.22", "port": 80}]}]
    of = deployment(keepalived={"lvsNetwork": "switched", "virtualServers": servers}, application_nodes=2)
    unit = "/etc/systemd/system/tandem-lvs-real-server.service"
    manifests = render(of)
    assert [name for name in manifests if unit in manifests[name].files()] == ["iam-c"]
    text = manifests["iam-c"].files()[unit]
    assert text.index("arp_ignore=1") < text.index("address replace 10.0.4.99/32 dev lo")
    assert "tunl0" not in text


def test_a_nat_director_forwards_packets() -> None:
    servers = [{**LVS, "kind": "NAT", "realServers": [{"address": "10.0.4.30", "port": 8080}]}]
    files = render(deployment(keepalived={"lvsNetwork": "switched", "virtualServers": servers}))["iam-b"].files()
    assert "ip_forward=1" in files["/etc/systemd/system/tandem-lvs-director.service"]
    assert "real_server 10.0.4.30 8080 {" in files[CONF]


def test_vrrp_version_2_sends_once_a_second_with_a_password() -> None:
    text = conf(profile="balanced", keepalived={"vrrpVersion": 2, "authentication": "AH"})
    assert "advert_int 1\n" in text
    assert "auth_type AH\n" in text
    assert "auth_pass @@secret:vrrp_password@@\n" in text
    # keepalived 2.2.7 warns about it with version 2.
    assert "vrrp_higher_prio_send_advert" not in text
