from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from provisioning.programs.health_daemon import FaultDetector, answers, requested_drain

UP, DOWN = True, False


@pytest.mark.parametrize(
    ("probes", "peer", "drain", "expected"),
    [
        pytest.param([UP, UP], UP, 0, [0, 0], id="healthy"),
        pytest.param([DOWN, DOWN], UP, 0, [0, 0], id="two failures are not yet a fault"),
        pytest.param([DOWN, DOWN, DOWN], UP, 0, [0, 0, -254], id="three failures are a fault"),
        pytest.param([DOWN, DOWN, UP, DOWN, DOWN], UP, 0, [0] * 5, id="a success resets the count"),
        pytest.param([DOWN] * 4, DOWN, 0, [0] * 4, id="no fault while the peer does not respond"),
        pytest.param([UP, UP], UP, -10, [-10, -10], id="a drain lowers the priority"),
        pytest.param([UP, UP], UP, -254, [-254, -254], id="a switchover may request a fault"),
        pytest.param([DOWN] * 3, UP, -10, [-10, -10, -254], id="a fault overrides a drain"),
        pytest.param([DOWN, DOWN, DOWN, UP], UP, 0, [0, 0, -254, 0], id="nginx responds again"),
    ],
)
def test_the_value_of_the_track_file(probes: list[bool], peer: bool, drain: int, expected: list[int]) -> None:  # noqa: FBT001 - a parameter of the table above
    detector = FaultDetector(fall=3, fault=-254)
    values = [detector.value(nginx_answers=probe, peer_answers=peer, drain=drain) for probe in probes]
    assert values == expected


@pytest.mark.parametrize(
    ("probes", "peer", "expected"),
    [
        pytest.param([DOWN] * 4, DOWN, [-254] * 3 + [0], id="both nodes boot without nginx: FAULT ends after 30 s"),
        pytest.param([DOWN, UP, DOWN], DOWN, [-254, 0, 0], id="FAULT ends when nginx answers"),
        pytest.param([DOWN] * 4, UP, [-254] * 4, id="the peer serves: FAULT until nginx answers"),
    ],
)
def test_a_node_that_boots_is_in_fault_until_its_nginx_answers(
    probes: list[bool],
    peer: bool,  # noqa: FBT001 - a parameter of the table above
    expected: list[int],
) -> None:
    detector = FaultDetector(fall=3, fault=-254, boot_until=30.0)
    times = [0.0, 10.0, 20.0, 31.0]
    values = [
        detector.value(nginx_answers=probe, peer_answers=peer, drain=0, now=now)
        for probe, now in zip(probes, times, strict=False)
    ]
    assert values == expected


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        pytest.param(None, 0, id="no mark"),
        pytest.param("-254\n", -254, id="the value in the mark"),
        pytest.param("", -10, id="an empty mark"),
    ],
)
def test_the_drain_mark_contains_the_value(tmp_path: Path, mark: str | None, expected: int) -> None:
    """With its own value, the daemon would end a FAULT of a switchover, so that the virtual IP is never released."""
    path = tmp_path / "drain"
    if mark is not None:
        path.write_text(mark)
    assert requested_drain(str(path), -10) == expected


def serve(answer: bytes) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))

    def once() -> None:
        connection, _ = listener.accept()
        with connection:
            if answer:
                connection.recv(200)
                connection.sendall(answer)
            else:
                connection.recv(200)
                connection.recv(200)  # hang until the client closes the connection

    threading.Thread(target=once, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", True, id="200"),
        pytest.param(b"HTTP/1.1 503 Sorry\r\n\r\n", False, id="503"),
        pytest.param(b"", False, id="a server that hangs after accepting the connection"),
    ],
)
def test_a_probe_succeeds_on_an_http_200_in_time(answer: bytes, expected: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    with serve(answer) as listener:
        assert answers("127.0.0.1", 0.2, port=listener.getsockname()[1]) is expected


def test_a_probe_fails_without_a_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert not answers("127.0.0.1", 0.2, port=port)
