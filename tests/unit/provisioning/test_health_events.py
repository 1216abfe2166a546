"""What the health daemon reports to the event recorder."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.programs import event_recorder
from provisioning.programs.event_recorder import Fifo
from provisioning.programs.health_daemon.events import Events
from provisioning.programs.health_daemon.judgement import Tracker

SERVER = "iam-apiserver at 10.0.4.21:8080"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "events")


def tracker(*, healthy: bool) -> Tracker:
    """A target that has answered, or that has failed after it had answered."""
    tracker = Tracker(0.25)
    tracker.answered(1.0, ok=True)
    if not healthy:
        tracker.fail(2.0, "Connection refused")
    return tracker


def test_a_failure_is_reported_once_and_services_of_a_silent_host_are_not(path: str) -> None:
    fifo = Fifo(path)
    events, host = Events(path), Tracker(0.25)
    for failing in (False, True, True, False, False):
        events.judge(SERVER, failing=failing, seen="Connection refused", host=host)
    host.fail(0.0)
    events.judge(SERVER, failing=True, host=host)
    host.forget()
    events.judge(SERVER, failing=True, host=host)  # the host recovers before its service
    events.judge(SERVER, failing=False, host=host)
    assert fifo.lines() == [f'HEALTH "{SERVER}" failed Connection refused', f'HEALTH "{SERVER}" healthy']


def test_a_service_that_failed_before_its_host_is_not_healthy_again_with_the_failure_of_the_host(path: str) -> None:
    fifo, events, host = Fifo(path), Events(path), Tracker(0.25)
    for failing in (False, True):
        events.judge(SERVER, failing=failing, host=host)
    host.fail(0.0)
    events.judge(SERVER, failing=True, host=host)
    host.forget()
    events.judge(SERVER, failing=True, host=host)
    assert fifo.lines() == [f'HEALTH "{SERVER}" failed']
    events.judge(SERVER, failing=False, host=host)
    assert fifo.lines() == [f'HEALTH "{SERVER}" healthy']


def test_a_failure_that_no_recorder_could_read_is_reported_to_the_next_one(path: str) -> None:
    events = Events(path)
    events.judge("nginx", failing=False)
    events.judge("nginx", failing=True, seen="no answer for 250 ms")
    fifo = Fifo(path)
    for _ in range(2):
        events.judge("nginx", failing=True, seen="no answer for 250 ms")
    assert fifo.lines() == ['HEALTH "nginx" failed no answer for 250 ms']


def test_a_full_fifo_delays_an_event(path: str) -> None:
    fifo, events, seen = Fifo(path), Events(path), "no answer for 250 ms"
    events.judge("nginx", failing=False)
    for _ in range(2000):  # of 38 bytes; the FIFO holds 64 KiB
        events.report_second_master("VI_1")
    events.judge("nginx", failing=True, seen=seen)
    assert set(fifo.lines()) == {'INSTANCE "VI_1" MASTER_RX_LOWER_PRI 0'}
    events.judge("nginx", failing=True, seen=seen)
    assert fifo.lines() == [f'HEALTH "nginx" failed {seen}']


def test_a_target_that_recovered_while_the_daemon_restarted_is_healthy_for_the_recorder(path: str) -> None:
    """Otherwise its next failure would be a repetition and not an event."""
    fifo, recorder = Fifo(path), event_recorder.Events("iam", "iam-a", {}, {}, 0)

    def recorded() -> list[str]:
        found = [recorder.event(line, at="", now=0.0) for line in fifo.lines()]
        return [each["state"] for each in found if each]

    before, after = Events(path), Events(path)
    before.judge(SERVER, failing=False)
    before.judge_tracker(SERVER, tracker(healthy=False))
    assert recorded() == ["failed"]
    after.judge_tracker(SERVER, Tracker(0.25))  # not probed yet
    assert recorded() == []
    for _ in range(2):
        after.judge_tracker(SERVER, tracker(healthy=True))
    assert recorded() == ["healthy"]
    Events(path).judge_tracker(SERVER, tracker(healthy=True))
    assert recorded() == [], "a repetition"
    after.judge_tracker(SERVER, tracker(healthy=False))
    assert recorded() == ["failed"]


def test_a_failure_before_the_end_of_a_boot_is_reported_after_it(path: str) -> None:
    fifo, events, nginx = Fifo(path), Events(path), Tracker(0.25, failing=True)
    nginx.fail(0.0, "Connection refused")
    events.judge_tracker("nginx", nginx, boots=True)
    assert fifo.lines() == []
    events.judge_tracker("nginx", nginx)
    assert fifo.lines() == ['HEALTH "nginx" failed Connection refused']


def test_a_disk_that_is_full_at_the_start_of_the_daemon_is_an_event(path: str) -> None:
    fifo, events = Fifo(path), Events(path)
    events.judge("disk /var/lib/nginx", failing=True, seen="less than 16 MiB are free", certain=True)
    assert fifo.lines() == ['HEALTH "disk /var/lib/nginx" failed less than 16 MiB are free']
