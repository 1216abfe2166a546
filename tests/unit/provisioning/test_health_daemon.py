from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from provisioning.programs.health_daemon import files
from provisioning.programs.health_daemon.judgement import Server, Tracker, Verdict, servers_out
from provisioning.programs.health_daemon.probes import NGINX_REQUEST, PEER_REQUEST, Prober, Target

OK, FAILED, SILENT = "ok", "failed", "silent"


def tracked(*answers: str, patience_s: float = 0.25, rise: int = 2, failing: bool = False) -> list[bool]:
    """Probe every 100 ms; return whether the target counts as failed 50 ms after each probe."""
    tracker = Tracker(patience_s, rise, failing=failing)
    states: list[bool] = []
    for number, answer in enumerate(answers):
        started = number / 10
        tracker.started(started)
        if answer != SILENT:
            tracker.answered(started, ok=answer == OK)
        tracker.judge(started + 0.05)
        states.append(tracker.failing)
    return states


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([OK, OK], [False, False], id="healthy"),
        pytest.param([SILENT, SILENT], [False, False], id="150 ms are not yet a failure"),
        pytest.param([SILENT, SILENT, SILENT], [False, False, True], id="250 ms are"),
        pytest.param([FAILED, FAILED, FAILED], [False, False, True], id="so are wrong answers"),
        pytest.param([SILENT, OK, SILENT, SILENT], [False] * 4, id="one lost packet is not a failure"),
        pytest.param([SILENT] * 3 + [OK, OK], [False, False, True, True, False], id="two answers in a row end it"),
        pytest.param([SILENT] * 3 + [OK, FAILED, OK], [False, False, True, True, True, True], id="but not one"),
    ],
)
def test_a_target_fails_when_no_probe_is_answered_for_the_patience(answers: list[str], expected: list[bool]) -> None:
    assert tracked(*answers) == expected


def test_a_failure_says_what_the_probes_met() -> None:
    tracker = Tracker(0.25)
    tracker.started(0.0)
    assert tracker.judge(0.3)
    assert tracker.seen == "no answer for 250 ms"
    for started in (1.0, 1.1):
        tracker.answered(started, ok=True)
    tracker.forget()
    tracker.started(2.0)
    tracker.answered(2.0, ok=False, seen="answered with status 503")
    assert tracker.judge(2.3)
    assert tracker.seen == "answered with status 503"


def test_time_in_which_the_daemon_did_not_run_does_not_count() -> None:
    tracker = Tracker(0.25)
    tracker.started(0.0)
    tracker.skip(10.0)
    assert not tracker.judge(10.1)
    assert tracker.judge(10.3)


FAULT = -254


def verdict(*, nginx: bool, peer_ok_at: float, boot_until: float = 0.0) -> Verdict:
    """Nginx of this node has failed at 1.0, if at all; the peer has answered a probe that started at the given time."""
    own, peer = Tracker(0.25), Tracker(0.25, failing=peer_ok_at < 0)
    if not nginx:
        own.fail(1.0)
    peer.last_ok = peer_ok_at
    return Verdict(own, [peer], FAULT, prompt_s=0.15, boot_until=boot_until)


@pytest.mark.parametrize(
    ("judged", "now", "expected"),
    [
        pytest.param(verdict(nginx=True, peer_ok_at=2.0), 2.0, 0, id="healthy"),
        pytest.param(verdict(nginx=False, peer_ok_at=2.0), 2.0, FAULT, id="nginx failed and the peer answers"),
        pytest.param(verdict(nginx=False, peer_ok_at=1.7), 2.0, 0, id="the peer is slow, too: an overloaded host"),
        pytest.param(verdict(nginx=False, peer_ok_at=-1), 2.0, 0, id="nginx failed and the peer is silent"),
        pytest.param(verdict(nginx=False, peer_ok_at=0.9), 2.0, 0, id="both fail at once: it has not answered since"),
        pytest.param(verdict(nginx=False, peer_ok_at=-1, boot_until=30), 29.0, FAULT, id="boot: FAULT without a peer"),
        pytest.param(verdict(nginx=False, peer_ok_at=-1, boot_until=30), 30.0, 0, id="boot: until 30 s have passed"),
        pytest.param(verdict(nginx=False, peer_ok_at=31.0, boot_until=30), 31.0, FAULT, id="boot: the peer serves"),
        pytest.param(verdict(nginx=True, peer_ok_at=-1, boot_until=30), 1.0, 0, id="boot: nginx answers"),
    ],
)
def test_the_value_of_the_track_file(judged: Verdict, now: float, expected: int) -> None:
    assert judged.value(lowered=0, now=now) == expected


def test_a_fault_stays_while_the_peer_is_slow_and_ends_when_it_fails() -> None:
    own, peer = Tracker(0.25), Tracker(0.25)
    own.fail(1.0)
    peer.last_ok = 1.3
    judged = Verdict(own, [peer], FAULT, prompt_s=0.15)
    assert [judged.value(lowered=0, now=now) for now in (1.3, 1.5)] == [FAULT, FAULT]
    peer.fail(1.4)
    assert judged.value(lowered=0, now=1.7) == 0


def test_a_boot_ends_after_30_s_even_if_nginx_has_never_answered() -> None:
    """From then on its failure is an event, and a restart of the daemon does not count as a boot."""
    judged = verdict(nginx=False, peer_ok_at=-1, boot_until=30)
    assert [(judged.value(lowered=0, now=now), judged.boot_until) for now in (29.9, 30.0)] == [(FAULT, 30), (0, 0)]


@pytest.mark.parametrize(
    ("seen", "expected"), [("", FAULT), ("Connection refused", 0), ("answered with status 404", 0)]
)
def test_a_fault_outlasts_a_restart_of_the_daemon_until_it_has_seen_the_peer(seen: str, expected: int) -> None:
    own, peer = Tracker(0.25), Tracker(0.25, failing=True)
    own.fail(0.0)
    judged = Verdict(own, [peer], FAULT, prompt_s=0.15)
    judged.keep_fault()
    peer.started(1.0)
    assert judged.value(lowered=0, now=1.002) == FAULT, "the answer is on its way"
    peer.answered(1.0, ok=not seen, seen=seen)
    assert judged.value(lowered=0, now=1.01) == expected


def test_a_full_disk_lowers_the_priority_and_a_fault_overrides_it() -> None:
    assert verdict(nginx=True, peer_ok_at=2.0).value(lowered=-10, now=2.0) == -10
    assert verdict(nginx=False, peer_ok_at=2.0).value(lowered=-10, now=2.0) == FAULT


A, B, C = ("10.0.4.20", 8080), ("10.0.4.21", 8080), ("10.0.4.22", 8080)


def servers(failing: set[tuple[str, int]]) -> list[Server]:
    found: list[Server] = []
    for address, port in (A, B, C):
        tracker = Tracker(0.25, failing=(address, port) in failing)
        found.append(Server("iam-apiserver", address, port, tracker, None))
    return found


@pytest.mark.parametrize(
    ("failing", "before", "down", "out"),
    [
        pytest.param(set(), set(), set(), set(), id="all answer"),
        pytest.param({B}, set(), set(), {B}, id="one does not"),
        pytest.param({B, C}, {B}, set(), {B, C}, id="one answers"),
        pytest.param({A, B, C}, set(), set(), set(), id="none answers: nginx decides"),
        pytest.param({A, B, C}, {B, C}, set(), {B, C}, id="the last one that answered stays"),
        pytest.param({A}, set(), {B, C}, set(), id="the others are marked as down in nginx"),
        pytest.param(set(), {B}, set(), set(), id="it answers again"),
    ],
)
def test_a_server_is_out_while_another_one_of_its_service_answers(
    failing: set[tuple[str, int]],
    before: set[tuple[str, int]],
    down: set[tuple[str, int]],
    out: set[tuple[str, int]],
) -> None:
    assert servers_out(servers(failing), before, down) == out


def test_a_silent_host_takes_out_its_servers() -> None:
    host = Tracker(0.25, failing=True)
    both = [Server("web", *A, Tracker(0.25), None), Server("web", *B, Tracker(0.25), host)]
    assert servers_out(both, set(), set()) == {B}


def serve(answer: bytes | None) -> socket.socket:
    """Listen on a free port. None: accept nothing more than the kernel does, as a hung process."""
    listener = socket.create_server(("127.0.0.1", 0))

    def once() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(200)
            connection.sendall(answer or b"")

    if answer is not None:
        threading.Thread(target=once, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    ("answer", "lowest_fault", "seen"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", 300, "", id="200"),
        pytest.param(b"HTTP/1.1 503 Sorry\r\n\r\n", 300, "answered with status 503", id="503"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", 500, "", id="a service that rejects the probe works"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", 300, "did not answer in HTTP", id="another protocol"),
        pytest.param(b"", 300, "did not answer in HTTP", id="closed without an answer"),
    ],
)
def test_a_probe_is_judged_by_the_status(answer: bytes, lowest_fault: int, seen: str) -> None:
    tracker, host = Tracker(0.25, failing=True), Tracker(0.25, failing=True)
    with serve(answer) as listener:
        probe(
            Target("127.0.0.1", listener.getsockname()[1], NGINX_REQUEST, tracker, host=host, lowest_fault=lowest_fault)
        )
    assert (tracker.seen, not tracker.failing, not host.failing) == (seen, not seen, True)


def test_a_server_that_hangs_after_the_handshake_fails_but_its_host_does_not() -> None:
    tracker, host = Tracker(0.25, failing=True), Tracker(0.25, failing=True)
    with serve(None) as listener:
        probe(Target("127.0.0.1", listener.getsockname()[1], NGINX_REQUEST, tracker, host=host))
    assert (tracker.failing, host.failing) == (True, False)
    assert (tracker.seen, host.seen) == ("no answer for 250 ms", "")


def test_a_host_that_refuses_the_connection_is_not_silent() -> None:
    tracker, host = Tracker(0.25, failing=True), Tracker(0.25, failing=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    probe(Target("127.0.0.1", port, NGINX_REQUEST, tracker, host=host))
    assert (tracker.failing, host.failing) == (True, False)
    assert (tracker.seen, host.seen) == ("Connection refused", "")


def test_a_peer_that_says_that_it_cannot_take_over_fails_at_once() -> None:
    """With two nodes in FAULT no node holds the virtual IP, so a node must not wait for its patience."""
    for prompt in (True, False):
        tracker, host = Tracker(10), Tracker(10)
        with serve(b"HTTP/1.1 404 Not Found\r\n\r\n") as listener:
            port = listener.getsockname()[1]
            probe(Target("127.0.0.1", port, PEER_REQUEST, tracker, host=host, lowest_fault=300, prompt=prompt))
        assert (tracker.failing, tracker.seen) == (prompt, "answered with status 404")
        probe(Target("127.0.0.1", port, PEER_REQUEST, tracker, host=host, lowest_fault=300, prompt=prompt))
        assert (tracker.failing, tracker.seen) == (prompt, "Connection refused")
        assert not host.failing


def test_a_silent_peer_has_its_patience() -> None:
    tracker, host = Tracker(0.25), Tracker(0.25)
    with serve(None) as listener:
        port = listener.getsockname()[1]
        probe(Target("127.0.0.1", port, PEER_REQUEST, tracker, host=host, lowest_fault=300, prompt=True))
    assert (tracker.failing, tracker.seen) == (False, "no answer for 250 ms"), "judge() decides"


def probe(target: Target) -> None:
    prober = Prober(set_mark=lambda _: None)
    prober.start(target, time.monotonic())
    deadline = time.monotonic() + 0.2
    while time.monotonic() < deadline:
        prober.wait(0.02)
    prober.expire(time.monotonic() + 1)


def test_a_value_is_written_in_place_so_that_a_full_file_system_cannot_empty_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nginx"
    files.write(str(path), "-254")
    number = path.stat().st_ino
    files.write(str(path), "0")
    assert (path.read_text().split(), path.stat().st_ino, path.stat().st_size) == (["0"], number, 32)
