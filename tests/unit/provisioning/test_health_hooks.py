"""The scripts that systemd runs when nginx or the health daemon stops or starts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from provisioning_deployments import deployment

from provisioning.kinds.unit import Unit
from provisioning.manifest_rendering import render

FAULT = "-254"


class Hooks:
    def __init__(self, folder: Path) -> None:
        self.run_directory = folder / "run"
        self.run_directory.mkdir()
        self.files = render(deployment())["iam-a"].files()

    def run(self, name: str, **environment: str) -> None:
        script = self.files[f"/usr/local/lib/tandem/{name}"].replace("/run/tandem", str(self.run_directory))
        subprocess.run(["sh", "-c", script], check=True, env={"PATH": "/usr/bin:/bin", **environment})

    def write(self, name: str, text: str) -> None:
        (self.run_directory / name).write_text(text)

    def value(self) -> str:
        return (self.run_directory / "nginx").read_text().strip()


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    hooks = Hooks(tmp_path)
    hooks.write("nginx", "0".ljust(31) + "\n")
    return hooks


def uptime_s() -> int:
    return int(Path("/proc/uptime").read_text().split(".")[0])


@pytest.mark.parametrize(
    ("word", "age_s", "value"),
    [
        pytest.param("answers", 0, FAULT, id="the peer answers"),
        pytest.param("silent", 0, "0", id="the peer is silent: one node must hold the virtual IP"),
        pytest.param("answers", 10, "0", id="an old word, of a daemon that has died"),
    ],
)
def test_a_stop_of_nginx_is_a_fault_only_if_the_peer_has_just_answered(
    hooks: Hooks, word: str, age_s: int, value: str
) -> None:
    hooks.write("peer", f"{word} {uptime_s() - age_s}".ljust(31) + "\n")
    hooks.run("nginx-stopped")
    assert hooks.value() == value
    assert (hooks.run_directory / "nginx").stat().st_size == 32


def test_a_stop_of_nginx_is_no_fault_before_the_daemon_has_seen_the_peer(hooks: Hooks) -> None:
    hooks.run("nginx-stopped")
    assert hooks.value() == "0"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(FAULT, "0", id="a fault ends"),
        pytest.param("-10", "-10", id="a lower priority stays"),
        pytest.param("0", "0", id="healthy"),
    ],
)
def test_a_start_of_nginx_ends_a_fault(hooks: Hooks, before: str, after: str) -> None:
    hooks.write("nginx", before.ljust(31) + "\n")
    hooks.run("nginx-started")
    assert hooks.value() == after


def test_a_daemon_that_worked_changes_nothing_at_its_end(hooks: Hooks) -> None:
    hooks.write("probed", "1")
    hooks.run("health-stopped", SERVICE_RESULT="watchdog")
    assert hooks.value() == "0"
    assert not (hooks.run_directory / "probed").exists()


def test_a_daemon_that_cannot_start_lets_a_healthy_peer_become_master(hooks: Hooks) -> None:
    hooks.run("health-stopped", SERVICE_RESULT="exit-code")
    assert hooks.value() == "-10"


@pytest.mark.parametrize("profile", ["fast", "balanced"])
def test_the_units_have_no_start_limit_and_a_stopped_daemon_is_killed(profile: str) -> None:
    files = render(deployment(profile=profile))["iam-a"].files()
    for unit in ("tandem-health.service", "tandem-events.service", "keepalived.service.d/tandem.conf"):
        assert "StartLimitIntervalSec=0" in files[f"/etc/systemd/system/{unit}"]
        assert "Restart=always" in files[f"/etc/systemd/system/{unit}"]
    daemon = files["/etc/systemd/system/tandem-health.service"]
    assert f"WatchdogSec={1.0 if profile == 'fast' else 3.0}" in daemon
    assert "WatchdogSignal=SIGKILL" in daemon


def test_the_recorder_stops_after_keepalived_so_that_it_records_the_stop() -> None:
    files = render(deployment())["iam-a"].files()
    assert "Before=keepalived.service" in files["/etc/systemd/system/tandem-events.service"]


@pytest.mark.parametrize("profile", ["fast", "seed"])
def test_events_are_recorded_with_every_profile(profile: str) -> None:
    items = render(deployment(profile=profile))["iam-a"].items
    assert {item.name for item in items if isinstance(item, Unit) and item.running} >= {"tandem-events", "keepalived"}
