"""What the event recorder learns from the real keepalived, and a second master."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.programs.event_recorder import Fifo, Recorder
from tests.keepalived.configurations import VIP, deployment
from tests.keepalived.pair import Machine, Pair, new_pair, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with new_pair(tmp_path) as made:
        yield made


class Events:
    """The recorder of one node, in this process."""

    def __init__(self, machine: Machine) -> None:
        self.root = machine.root
        for path in ("run/tandem", "var/log", "var/lib/tandem"):
            (self.root / path).mkdir(parents=True, exist_ok=True)
        settings = {"group": "test", "node": machine.name, "addresses": {"VI_1": VIP}}
        self.fifo, self.recorder = Fifo(str(self.root / "run/tandem/events")), Recorder(settings, str(self.root))

    def states(self) -> list[str]:
        self.fifo.reopen_if_replaced()
        self.recorder.run_once(self.fifo)
        files = sorted((self.root / "var/lib/tandem/events").glob("*.json"))
        return [json.loads(file.read_text())["state"] for file in files]

    def wait_for(self, states: list[str]) -> None:
        wait_until(lambda: self.states() == states, 5, lambda: f"{self.states()}, not {states}")


def test_events_are_recorded_in_order_from_the_start_to_the_stop(pair: Pair) -> None:
    pair.write(deployment({"profile": "fast"}))
    events = Events(pair.a)
    pair.start_in_order()
    events.wait_for(["BACKUP", "MASTER"])
    pair.a.report(-254)
    events.wait_for(["BACKUP", "MASTER", "FAULT"])
    pair.a.report(0)
    events.wait_for(["BACKUP", "MASTER", "FAULT", "BACKUP"])
    pair.a.stop()
    events.wait_for(["BACKUP", "MASTER", "FAULT", "BACKUP", "STOP"])


def test_a_second_master_is_reported_and_ends_within_a_second_of_the_healing(pair: Pair) -> None:
    pair.write(deployment({"profile": "fast"}))
    first, second = Events(pair.a), Events(pair.b)
    pair.start_in_order()
    pair.wait_for({VIP: "iam-a"})
    wait_until(lambda: second.states() == ["BACKUP"], 5, lambda: str(second.states()))
    time.sleep(0.5)
    pair.isolate(isolated=True)
    pair.wait_for({VIP: "iam-a iam-b"}, 2)
    time.sleep(1)
    pair.isolate(isolated=False)
    # With equal priorities the higher address wins.
    took = pair.wait_for({VIP: "iam-b"}, 1)
    print(f"one master {took * 1000:.0f} ms after the healing")
    second.wait_for(["BACKUP", "MASTER", "SECOND_MASTER"])
    first.wait_for(["BACKUP", "MASTER", "BACKUP"])
