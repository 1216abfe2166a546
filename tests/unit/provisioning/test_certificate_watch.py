"""The daily report of certificates that expire soon."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
import trustme

from provisioning.health.public_checks import judge_validity
from provisioning.health.results import Level
from provisioning.programs import certificate_watch
from provisioning.programs.event_recorder import Events

DAY_S = 86400.0


def issue(folder: Path, valid_days: int) -> tuple[Path, float]:
    """A certificate, and its end."""
    end = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=60)
    begin = end - dt.timedelta(days=valid_days)
    issued = trustme.CA().issue_cert("iam.api.example.com", not_before=begin, not_after=end)
    file = folder / "api.pem"
    file.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return file, end.timestamp()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, float]:
    return issue(tmp_path, 90)


@pytest.mark.parametrize(
    ("days_left", "reported"),
    [
        pytest.param(31, "healthy", id="more than 30 days"),
        pytest.param(29, "failed expires on ", id="less than 30 days"),
        pytest.param(-1, "failed expired on ", id="expired"),
    ],
)
def test_a_certificate_is_reported_before_its_end(
    certificate: tuple[Path, float], days_left: int, reported: str
) -> None:
    file, end = certificate
    line = certificate_watch.judge(str(file), end - days_left * DAY_S)
    assert line.startswith(f'HEALTH "certificate api" {reported}')


def test_a_file_that_is_no_certificate_is_reported(tmp_path: Path) -> None:
    (tmp_path / "api.pem").write_text("x")
    line = certificate_watch.judge(str(tmp_path / "api.pem"), 0.0)
    assert f"{tmp_path}/api.pem cannot be read: " in line
    assert "certificate from" in line  # the reason that openssl gives
    assert "\n" not in line


def test_the_recorder_makes_one_event_of_it_and_one_of_its_renewal(
    certificate: tuple[Path, float], tmp_path: Path
) -> None:
    file, end = certificate
    fifo = tmp_path / "events"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    found = Events("iam", "iam-a", {}, {}, sequence=0)
    states: list[str] = []
    for days_left in (40, 20, 19, 80):
        certificate_watch.main([str(file.parent / "*.pem")], str(fifo), end - days_left * DAY_S)
        event = found.event(os.read(reader, 4096).decode().strip(), at="", now=0.0)
        states.append(event["state"] if event else "")
    os.close(reader)
    assert states == ["", "failed", "", "healthy"]


def test_without_a_recorder_it_ends_quietly(certificate: tuple[Path, float], tmp_path: Path) -> None:
    certificate_watch.main([str(certificate[0])], str(tmp_path / "none"))


@pytest.mark.parametrize("valid_days", [60, 365], ids=["a third of the validity period", "30 days"])
def test_the_report_and_tandem_health_have_the_same_limit(tmp_path: Path, valid_days: int) -> None:
    file, end = issue(tmp_path, valid_days)
    begin = end - valid_days * DAY_S
    for days_left in (31, 30.01, 30, 29.99, 20.01, 20, 19.99, 0, -0.01):
        now = end - days_left * DAY_S
        health = judge_validity("iam-a", *(dt.datetime.fromtimestamp(at, dt.UTC) for at in (begin, end, now)))
        reported = certificate_watch.judge(str(file), now)
        assert reported.endswith(" healthy") == (health.level is Level.OK), days_left
        assert ("expired on" in reported) == (health.level is Level.FAIL), days_left
