"""Random faults of every kind on two machines, which are then healed and must be in their original state.

LOCALCLOUD_SEED=N repeats the run of a seed; a failing test prints its seed.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from localcloud.machines.machine_faults import KINDS

from .command import NOTHING, LocalCloud, held_mib
from .wellness import NODES, wrong

pytestmark = pytest.mark.root

_SLACK_MIB = 100  # other processes of this host vary; one of these two machines with a full /tmp is 1 GiB

_SIGNALS = ("KILL", "TERM", "STOP", "CONT", "HUP", "ABRT")
_PROCESSES = ("sshd", "dbus-daemon", "systemd-journald", "systemd-logind", "agetty", "systemd", "no-such-thing")
_ARGUMENTS: dict[str, Callable[[random.Random, str], list[str]]] = {
    "isolate-from": lambda _, peer: [peer],
    "kill": lambda chance, _: [chance.choice(_PROCESSES), chance.choice(_SIGNALS)],
    "cpu-stress": lambda chance, _: [str(chance.randint(1, 3))],
    "slow-disk": lambda chance, _: [str(chance.randint(1, 50))],
}


def _no_arguments(chance: random.Random, peer: str) -> list[str]:
    del chance, peer
    return []


# Permitted errors for a machine in another state; any other error is a fault of localcloud.
_REFUSALS = ("is not running", "no process '", "did not start in time")


@pytest.fixture
def cloud() -> Generator[LocalCloud]:
    made = LocalCloud(f"h{os.getpid()}")
    held = held_mib()
    yield made
    made.down()
    assert made.left() == NOTHING
    deadline = time.monotonic() + 30
    while (grown := held_mib() - held) > _SLACK_MIB:
        assert time.monotonic() < deadline, f"memory has grown by {grown:.0f} MiB"
        time.sleep(0.5)


@pytest.fixture
def pair(cloud: LocalCloud) -> LocalCloud:
    cloud.up()
    cloud.pair()
    _expect_intact(cloud)
    return cloud


def _expect_intact(cloud: LocalCloud, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while problems := wrong(cloud):
        assert time.monotonic() < deadline, problems
        time.sleep(0.3)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(["link-down"], id="link-down"),
        pytest.param(["isolate-from", "node-1"], id="isolate-from"),
        pytest.param(["pause"], id="pause"),
        pytest.param(["power-off"], id="power-off"),
        pytest.param(["kill", "dbus-daemon", "STOP"], id="kill STOP"),
        pytest.param(["kill", "sshd", "TERM"], id="kill TERM"),
        pytest.param(["kill", "systemd", "KILL"], id="kill of the first process"),
        pytest.param(["fill-disk"], id="fill-disk"),
        pytest.param(["cpu-stress", "1"], id="cpu-stress"),
        pytest.param(["slow-disk", "5"], id="slow-disk"),
    ],
)
def test_the_check_detects_each_fault_until_it_is_healed(shared: LocalCloud, fault: list[str]) -> None:
    """If the check did not see faults, the tests below would prove nothing."""
    _expect_intact(shared)
    shared.must("fault", "node-0", *fault)
    time.sleep(0.2)
    assert wrong(shared) != []
    assert "no fault was active" not in shared.must("fault", "node-0", "heal")
    _expect_intact(shared)


@pytest.fixture(scope="module")
def shared() -> Generator[LocalCloud]:
    made = LocalCloud(f"hs{os.getpid()}")
    try:
        made.up()
        made.pair()
        yield made
    finally:
        made.down()
    assert made.left() == NOTHING


def _shake(cloud: LocalCloud, count: int) -> None:
    seed = int(os.environ.get("LOCALCLOUD_SEED") or random.SystemRandom().randrange(10**6))
    print(f"LOCALCLOUD_SEED={seed}, {count} faults")
    chance = random.Random(seed)
    before = _daemon(cloud)
    # Every kind at least once; those that bring a machine back are more likely, because it would otherwise be off most
    # of the time.
    weights = [3 if kind in {"heal", "power-on"} else 1 for kind in KINDS]
    kinds = [*KINDS, *chance.choices(KINDS, weights, k=count - len(KINDS))]
    chance.shuffle(kinds)
    refused = 0
    for kind in kinds:
        node, peer = chance.sample(sorted(NODES), 2)
        words = [node, kind, *_ARGUMENTS.get(kind, _no_arguments)(chance, peer)]
        done = cloud.run("fault", *words)
        print(" ".join(words), "->", done.returncode, done.stdout.strip() or done.stderr.strip())
        refused += done.returncode
        assert done.returncode == 0 or any(text in done.stderr for text in _REFUSALS), _log(cloud)
        assert done.returncode == 0 or kind != "heal", done.stderr
    assert refused < count / 2, "most faults were refused, so this run proves nothing"
    for node in NODES:
        cloud.must("fault", node, "heal")
    _expect_intact(cloud)
    after = _daemon(cloud)
    grown = {what: after[what] - before[what] for what in before}
    print(f"the daemon has grown by {grown}")
    assert grown["MiB"] < 25
    assert grown["open files"] < 10
    assert grown["threads"] < 10
    assert "Traceback" not in _log(cloud), _log(cloud)
    cloud.down()
    assert cloud.left() == NOTHING


def _log(cloud: LocalCloud) -> str:
    """The daemon's log from its first problem on."""
    text = Path(f"/var/lib/localcloud/{cloud.name}/daemon.log").read_text()
    return text[max(0, text.find("Traceback") - 300) :][:6000]


def _daemon(cloud: LocalCloud) -> dict[str, float]:
    (pid,) = [pid for pid, line in cloud.processes().items() if "localcloud.daemon" in line]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "MiB": round(int(status["VmRSS"].split()[0]) / 1024, 1),
        "open files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": int(status["Threads"]),
    }


def test_forty_random_faults_are_healed_and_leave_nothing(pair: LocalCloud) -> None:
    _shake(pair, 40)


@pytest.mark.long
def test_two_hundred_random_faults_are_healed_and_leave_nothing(pair: LocalCloud) -> None:
    _shake(pair, 200)
