"""The health daemon with real nginx processes and sockets."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from .lab import Lab, new_lab, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[Lab]:
    with new_lab() as lab:
        for node in (lab.a, lab.b):
            node.write_nginx()
            node.start_nginx()
        yield lab


def test_a_node_leaves_fault_when_its_nginx_answers(lab: Lab) -> None:
    lab.a.start_daemon()
    wait_until(lambda: lab.a.value() == "0", "healthy")


@pytest.mark.parametrize("part", ["all", "workers"])
def test_a_hung_nginx_is_a_fault_within_400_ms(lab: Lab, part: str) -> None:
    lab.a.start_daemon()
    wait_until(lambda: lab.a.value() == "0", "healthy")
    time.sleep(0.5)
    for pid in lab.a.nginx_pids()[0 if part == "all" else 1 :]:
        import os

        os.kill(pid, signal.SIGSTOP)
    took = wait_until(lambda: lab.a.value() == "-254", "a fault", 1)
    print(f"took {took * 1000:.0f} ms")
    lab.a.signal_nginx(signal.SIGCONT)
    wait_until(lambda: lab.a.value() == "0", "healthy again", 1)
