from __future__ import annotations

import csv
import io
import json
import socket
from datetime import datetime
from pathlib import Path

import pytest
from iam_fakes import MemoryMessages

from samples.iam.stand_in import audit, ladon, pump
from samples.iam.stand_in.audit import Record
from samples.iam.stand_in.journal import Journal
from samples.iam.stand_in.stores import AUDIT_LIST, PUMP_LOCK, MessagesError

_RECORDED = {
    line["label"]: line
    for text in (Path(__file__).parent / "data" / "exchanges.jsonl").read_text().splitlines()
    if "request" not in (line := json.loads(text))
}
_SUBJECTS = {"description": "d", "subjects": ["users:<hc|bob>"]}
_POLICIES = [
    ladon.to_json("deny-secret", {**_SUBJECTS, "effect": "deny", "resources": ["res:a:secret"], "actions": ["<.*>"]}),
    ladon.to_json(
        "allow-read", {**_SUBJECTS, "effect": "allow", "resources": ["res:a:<.*>"], "actions": ["<read|list>"]}
    ),
]


def record(resource: str = "res:a:hc-1795213918-3") -> Record:
    asked = ladon.Asked("users:hc", "read", resource, {"username": "demo1"})
    return Record.of(asked, _POLICIES, ladon.decide(asked, _POLICIES))


def make_pump(directory: Path, messages: MemoryMessages, *, detailed: bool = True) -> tuple[pump.Pump, io.StringIO]:
    log = io.StringIO()
    sink = pump.CsvSink(directory, detailed, now=lambda: datetime(2026, 11, 20, 22, 31, 58))  # noqa: DTZ001 - local
    return pump.Pump(messages, [sink], Journal("iam-pump", [log])), log


def test_a_csv_row_equals_the_recorded_one(tmp_path: Path) -> None:
    messages = MemoryMessages()
    messages.append(AUDIT_LIST, [record().pack()])
    mover, _ = make_pump(tmp_path, messages)
    assert mover.move() == 1
    recorded = _RECORDED["csv-record"]
    with (tmp_path / recorded["file_name"]).open() as file:
        header, row = csv.reader(file)
    assert header == recorded["header"]
    assert row[1:-1] == recorded["row"][1:-1]
    assert row[-1].endswith(" +0000 UTC")


def test_a_packed_record_has_the_recorded_fields_in_the_recorded_order() -> None:
    recorded = _RECORDED["redis-record"]["record"]
    packed = audit.unpack_fields(record("res:a:hc-1795213907-0").pack())
    assert list(packed) == list(recorded)
    volatile = {"TimeStamp", "ExpireAt"}
    assert {k: v for k, v in packed.items() if k not in volatile} == {
        k: v for k, v in recorded.items() if k not in volatile
    }


def test_each_file_has_one_header_after_several_rounds(tmp_path: Path) -> None:
    messages = MemoryMessages()
    mover, _ = make_pump(tmp_path, messages)
    for _ in range(3):
        messages.append(AUDIT_LIST, [record().pack()] * 2)
        mover.move()
    (file,) = tmp_path.iterdir()
    assert len(file.read_text().splitlines()) == 7


def test_the_policy_columns_are_empty_without_details(tmp_path: Path) -> None:
    messages = MemoryMessages()
    messages.append(AUDIT_LIST, [record().pack()])
    make_pump(tmp_path, messages, detailed=False)[0].move()
    (file,) = tmp_path.iterdir()
    assert list(csv.reader(file.read_text().splitlines()))[1][5:7] == ["", ""]


def test_records_that_cannot_be_written_stay_in_redis(tmp_path: Path) -> None:
    messages = MemoryMessages()
    messages.append(AUDIT_LIST, [record().pack()] * 3)
    mover, log = make_pump(tmp_path / "gone", messages)
    assert mover.move() == 0
    assert len(messages.lists[AUDIT_LIST]) == 3
    assert "they stay in redis" in log.getvalue()
    assert not messages.locks


def test_an_unreadable_record_is_skipped_and_logged(tmp_path: Path) -> None:
    messages = MemoryMessages()
    messages.append(AUDIT_LIST, [b"garbage", record().pack()])
    mover, log = make_pump(tmp_path, messages)
    assert mover.move() == 1
    assert "skipped an unreadable audit record" in log.getvalue()


def test_only_one_pump_of_the_group_is_active_at_a_time(tmp_path: Path) -> None:
    messages = MemoryMessages()
    messages.append(AUDIT_LIST, [record().pack()])
    messages.acquire(PUMP_LOCK, "another node", 600)
    mover, log = make_pump(tmp_path, messages)
    assert mover.move() == 0
    assert "another iam-pump" in log.getvalue()
    assert len(messages.lists[AUDIT_LIST]) == 1


def test_without_redis_a_round_moves_no_record_and_logs_the_error(tmp_path: Path) -> None:
    messages = MemoryMessages()
    messages.down = True
    mover, log = make_pump(tmp_path, messages)
    assert mover.move() == 0
    assert "cannot reach redis" in log.getvalue()


def test_a_syslog_server_that_is_away_delays_no_record(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    meta = {"network_addr": f"127.0.0.1:{port}", "log_level": 110, "tag": "iam-audit"}
    pumps = {"csv": {"type": "csv", "meta": {"csv_dir": str(tmp_path)}}, "syslog": {"type": "syslog", "meta": meta}}
    messages, sinks = MemoryMessages(), pump.make_sinks(pumps, detailed=True)
    messages.append(AUDIT_LIST, [record().pack(), record().pack()])
    assert pump.Pump(messages, sinks, Journal("iam-pump", [io.StringIO()])).move() == 2
    assert len("".join(path.read_text() for path in tmp_path.glob("*.csv")).splitlines()) == 3


def test_a_sink_of_an_unknown_type_is_an_error_at_startup() -> None:
    with pytest.raises(pump.SinkError, match="kafka"):
        pump.make_sinks({"k": {"type": "kafka"}}, detailed=True)


def test_a_directory_that_cannot_be_created_is_an_error_at_startup(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(pump.SinkError, match="csv_dir"):
        pump.make_sinks({"csv": {"meta": {"csv_dir": str(tmp_path / "file" / "below")}}}, detailed=True)


class LateMessages(MemoryMessages):
    """Redis does what it is asked to do, and its response comes too late."""

    late: str

    def read_all(self, key: str) -> list[bytes]:
        found = super().read_all(key)
        self._be_late("read_all")
        return found

    def drop(self, key: str, count: int) -> None:
        super().drop(key, count)
        self._be_late("drop")

    def _be_late(self, call: str) -> None:
        if self.late == call:
            self.late = ""
            raise MessagesError("time-out")


@pytest.mark.parametrize("late", ["read_all", "drop"])
def test_a_late_response_of_redis_loses_no_record(tmp_path: Path, late: str) -> None:
    messages = LateMessages()
    messages.append(AUDIT_LIST, [record().pack()])
    messages.late = late
    mover, _ = make_pump(tmp_path, messages)
    mover.move()
    mover.move()
    (file,) = tmp_path.iterdir()
    assert len(file.read_text().splitlines()) == 2
