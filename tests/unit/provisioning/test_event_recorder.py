from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from provisioning.programs import event_recorder
from provisioning.programs.event_recorder import Events, Fifo, Recorder

SETTINGS: dict[str, Any] = {"group": "iam", "node": "iam-a", "addresses": {"VI_1": "10.0.4.99"}}
AT = "2026-11-27T15:04:05.123456+00:00"


def events() -> Events:
    return Events("iam", "iam-a", {"VI_1": "10.0.4.99"}, {}, sequence=16)


def test_a_change_of_master_is_an_event_with_the_virtual_ip_and_the_state_before() -> None:
    found = events()
    assert found.event('INSTANCE "VI_1" BACKUP 250', at=AT, now=1.0) is not None
    assert found.event('INSTANCE "VI_1" MASTER 250', at=AT, now=2.0) == {
        "sequence": 18, "at": AT, "group": "iam", "node": "iam-a", "kind": "vrrp", "subject": "VI_1",
        "address": "10.0.4.99", "state": "MASTER", "previous": "BACKUP", "seen": "",
    }  # fmt: skip
    assert found.state["vrrp"]["VI_1"]["state"] == "MASTER"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('INSTANCE "VI_1" MASTER 250', id="the same state again, as after a reload"),
        pytest.param('GROUP "both" MASTER 0', id="a sync group: its instances report too"),
        pytest.param("", id="an empty line"),
        pytest.param('INSTANCE "VI_1', id="an incomplete line"),
    ],
)
def test_other_lines_are_no_events(line: str) -> None:
    found = events()
    found.event('INSTANCE "VI_1" MASTER 250', at=AT, now=0.0)
    assert found.event(line, at=AT, now=1.0) is None


def test_a_second_master_is_reported_once_in_each_split() -> None:
    found = events()
    found.event('INSTANCE "VI_1" MASTER 250', at=AT, now=0.0)

    def second(*times: float) -> list[str]:
        seen = [found.event('INSTANCE "VI_1" MASTER_RX_LOWER_PRI 250', at=AT, now=now) for now in times]
        return [each["state"] if each else "" for each in seen]

    assert second(5.0, 5.1, 14.9, 24.8, 34.7) == ["SECOND_MASTER", "", "", "", ""]
    assert found.state["vrrp"]["VI_1"]["state"] == "MASTER"
    assert second(44.8, 45.0) == ["SECOND_MASTER", ""]  # another split, in which this node stayed master
    for state in ("BACKUP", "MASTER"):
        found.event(f'INSTANCE "VI_1" {state} 250', at=AT, now=46.0)
    assert second(46.1, 46.2) == ["SECOND_MASTER", ""]


def test_the_health_daemon_reports_a_fault_and_its_end() -> None:
    found = events()
    failed = found.event('HEALTH "nginx" failed no answer from 127.0.0.1 (3 times)', at=AT, now=0.0)
    healthy = found.event('HEALTH "nginx" healthy', at=AT, now=1.0)
    assert failed is not None
    assert healthy is not None
    assert (failed["kind"], failed["subject"], failed["seen"]) == (
        "health",
        "nginx",
        "no answer from 127.0.0.1 (3 times)",
    )
    assert (healthy["state"], healthy["previous"]) == ("healthy", "failed")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for directory in ("run/tandem", "var/log", "var/lib/tandem"):
        (tmp_path / directory).mkdir(parents=True)
    return tmp_path


def queue(root: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted((root / "var/lib/tandem/events").glob("*.json"))]


def record(recorder: Recorder, *words: str) -> None:
    for word in words:
        recorder.record(f'INSTANCE "VI_1" {word} 250')
    recorder.flush()


def test_events_are_queued_in_order_logged_and_the_newest_is_the_state(root: Path) -> None:
    record(Recorder(SETTINGS, str(root)), "BACKUP", "MASTER", "FAULT")
    assert [event["state"] for event in queue(root)] == ["BACKUP", "MASTER", "FAULT"]
    assert [event["sequence"] for event in queue(root)] == [1, 2, 3]
    state = json.loads((root / "run/tandem/state.json").read_text())
    assert state["vrrp"]["VI_1"]["state"] == "FAULT"
    lines = (root / "var/log/keepalived.log").read_text().splitlines()
    assert [line.split("] ")[1] for line in lines] == [f"notify_{word}" for word in ("backup", "master", "fault")]


def test_a_change_of_master_says_what_keepalived_was_told(root: Path) -> None:
    for file, word in (("nginx", "-254"), ("drain-VI_1", "-10"), ("peer", "answers 4711")):
        (root / "run/tandem" / file).write_text(word.ljust(31) + "\n")
    recorder = Recorder(SETTINGS, str(root))
    record(recorder, "BACKUP")
    (root / "run/tandem/drain-VI_1").unlink()
    record(recorder, "FAULT")
    assert [event["seen"] for event in queue(root)] == [
        "nginx -254, drain -10, peer answers", "nginx -254, peer answers",
    ]  # fmt: skip


def test_the_mark_of_a_master_exists_while_the_node_is_master(root: Path) -> None:
    recorder, mark = Recorder(SETTINGS, str(root)), root / "run/tandem/master/VI_1"
    seen: list[bool] = []
    for word in ("BACKUP", "MASTER", "MASTER_RX_LOWER_PRI", "FAULT"):
        record(recorder, word)
        seen.append(mark.exists())
    assert seen == [False, True, True, False]


def test_numbers_continue_after_a_restart_with_an_empty_queue(root: Path) -> None:
    record(Recorder(SETTINGS, str(root)), "BACKUP", "MASTER")
    for file in (root / "var/lib/tandem/events").glob("*.json"):
        file.unlink()  # sent
    record(Recorder(SETTINGS, str(root)), "MASTER", "FAULT")
    assert [(event["sequence"], event["state"]) for event in queue(root)] == [(3, "FAULT")]


def test_events_wait_in_memory_while_the_disk_cannot_be_written(root: Path) -> None:
    recorder = Recorder(SETTINGS, str(root))
    directory = root / "var/lib/tandem/events"
    directory.rmdir()
    directory.write_text("")  # stands for a full disk, which root can still write to
    with pytest.raises(OSError):  # noqa: PT011 - any error of the file system
        record(recorder, "BACKUP", "MASTER")
    directory.unlink()
    directory.mkdir()
    record(recorder, "FAULT")
    assert [event["state"] for event in queue(root)] == ["BACKUP", "MASTER", "FAULT"]


def test_an_event_that_was_written_at_a_power_failure_is_queued_if_it_is_complete(root: Path) -> None:
    record(Recorder(SETTINGS, str(root)), "BACKUP")
    directory = root / "var/lib/tandem/events"
    (directory / "000000000002.json.new").write_text('{"sequence": 2, "state": "MASTER"}\n')
    (directory / "000000000003.json.new").write_text('{"sequence": 3, "st')
    record(Recorder(SETTINGS, str(root)), "FAULT")
    assert [(event["sequence"], event["state"]) for event in queue(root)] == [
        (1, "BACKUP"),
        (2, "MASTER"),
        (3, "FAULT"),
    ]
    assert not list(directory.glob("*.new"))


def test_the_queue_keeps_the_newest_thousand(root: Path) -> None:
    recorder = Recorder(SETTINGS, str(root))
    directory = root / "var/lib/tandem/events"
    for number in range(1, event_recorder.LONGEST_QUEUE + 1):
        (directory / f"{number:012d}.json").write_text("{}")
    record(Recorder(SETTINGS, str(root)), "BACKUP", "MASTER")
    names = event_recorder.queued(str(directory))
    del recorder
    assert (len(names), names[0], names[-1]) == (1000, "000000000003.json", "000000001002.json")


def test_lines_arrive_in_order_and_whole_from_several_writers(tmp_path: Path) -> None:
    path = tmp_path / "events"
    fifo = Fifo(str(path))
    first, second = (os.open(path, os.O_RDWR | os.O_NONBLOCK) for _ in range(2))
    os.write(first, b"one\ntw")
    assert fifo.lines() == ["one"]
    os.write(first, b"o\n")
    os.write(second, b"three\n")
    assert fifo.lines() == ["two", "three"]
    assert fifo.lines() == []


def test_a_fifo_that_keepalived_has_removed_is_created_again(tmp_path: Path) -> None:
    path = tmp_path / "events"
    fifo = Fifo(str(path))
    path.unlink()
    fifo.reopen_if_replaced()
    writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(writer, b"one\n")
    assert fifo.lines() == ["one"]
