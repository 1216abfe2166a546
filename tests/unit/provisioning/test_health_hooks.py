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

    def run(self, name: str, *arguments: str, **environment: str) -> None:
        script = self.files[f"/usr/local/lib/tandem/{name}"].replace("/run/tandem", str(self.run_directory))
        subprocess.run(["sh", "-c", script, name, *arguments], check=True, env={"PATH": "/usr/bin:/bin", **environment})

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


def test_a_node_in_fault_tells_its_peer_that_it_cannot_take_over(hooks: Hooks) -> None:
    hooks.write("peer", f"answers {uptime_s()}".ljust(31) + "\n")
    hooks.write("able", "1")
    hooks.run("nginx-stopped", "before-stop")
    assert hooks.value() == FAULT
    assert not (hooks.run_directory / "able").exists()


def test_the_virtual_ip_moves_before_nginx_is_stopped() -> None:
    unit = render(deployment())["iam-a"].files()["/etc/systemd/system/nginx.service.d/tandem.conf"]
    stops = [line for line in unit.splitlines() if line.startswith("ExecStop=")]
    assert stops == ["ExecStop=", "ExecStop=-/usr/local/lib/tandem/nginx-stopped before-stop"]
    assert "KillSignal=SIGQUIT" in unit, "open requests are answered"


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


@pytest.mark.parametrize(
    ("result", "worked", "left"),
    [
        pytest.param("success", True, False, id="stopped on request"),
        pytest.param("exit-code", False, False, id="it cannot start"),
        pytest.param("watchdog", True, True, id="it restarts and judges them again"),
    ],
)
def test_a_daemon_that_does_not_restart_leaves_no_judgements_for_nginx(
    hooks: Hooks, result: str, *, worked: bool, left: bool
) -> None:
    """With `database-away` nginx would answer every login with 503, although the database is back."""
    for name in ("database-away", "out.json", *(["probed"] if worked else [])):
        hooks.write(name, "[]")
    hooks.run("health-stopped", SERVICE_RESULT=result)
    assert [(hooks.run_directory / name).exists() for name in ("database-away", "out.json")] == [left, left]


def test_a_daemon_that_cannot_start_lets_a_healthy_peer_become_master(hooks: Hooks) -> None:
    hooks.run("health-stopped", SERVICE_RESULT="exit-code")
    assert hooks.value() == "-10"


@pytest.mark.parametrize("profile", ["fast", "balanced"])
def test_the_units_have_no_start_limit_and_a_stopped_daemon_is_killed(profile: str) -> None:
    files = render(deployment(profile=profile))["iam-a"].files()
    for unit in ("tandem-health.service", "tandem-events.service", "keepalived.service.d/tandem.conf"):
        assert "StartLimitIntervalSec=0" in files[f"/etc/systemd/system/{unit}"]
        assert "Restart=always" in files[f"/etc/systemd/system/{unit}"]
    nginx = files["/etc/systemd/system/nginx.service.d/tandem.conf"]
    assert "StartLimitIntervalSec=0\n" in nginx[: nginx.index("[Service]")]
    assert "Restart=on-failure" in nginx
    daemon = files["/etc/systemd/system/tandem-health.service"]
    assert f"WatchdogSec={1.0 if profile == 'fast' else 3.0}" in daemon
    assert "WatchdogSignal=SIGKILL" in daemon


def test_what_decides_about_failovers_runs_ahead_of_the_services_on_a_busy_node() -> None:
    files = render(deployment())["iam-a"].files()
    names = ("keepalived.service.d/tandem.conf", "tandem-health.service", "nginx.service.d/tandem.conf")
    units = [settings_of(files[f"/etc/systemd/system/{name}"]) for name in names]
    assert [unit["CPUWeight"] for unit in units] == ["1000", "1000", "500"], "100 is the weight of other services"
    assert [int(unit["Nice"]) for unit in units] == [-10, -10, -5]
    assert all(int(unit["OOMScoreAdjust"]) <= -500 for unit in units)
    services = [text for path, text in files.items() if "/iam-" in path and path.endswith(".service")]
    assert services
    assert not [text for text in services if "CPUWeight" in text or "Nice=" in text]


def settings_of(text: str) -> dict[str, str]:
    """The settings of a unit; the last of several with one name."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def test_the_recorder_stops_after_keepalived_so_that_it_records_the_stop() -> None:
    files = render(deployment())["iam-a"].files()
    assert "Before=keepalived.service" in files["/etc/systemd/system/tandem-events.service"]


@pytest.mark.parametrize("profile", ["fast", "seed"])
def test_events_are_recorded_with_every_profile(profile: str) -> None:
    items = render(deployment(profile=profile))["iam-a"].items
    assert {item.name for item in items if isinstance(item, Unit) and item.running} >= {"tandem-events", "keepalived"}
