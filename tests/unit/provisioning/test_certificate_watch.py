"""The daily report of certificates that expire soon."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
import trustme

from provisioning.programs import certificate_watch
from provisioning.programs.event_recorder import Events

DAY_S = 86400.0


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, float]:
    """A certificate for 90 days, and its end."""
    end = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=60)
    issued = trustme.CA().issue_cert("iam.api.example.com", not_before=end - dt.timedelta(days=90), not_after=end)
    file = tmp_path / "api.pem"
    file.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return file, end.timestamp()


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
