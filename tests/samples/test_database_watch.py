"""The health daemon's watch of the database, with a real MariaDB and the account of the services."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest
from iam_real_servers import RealNode, group

from provisioning import placeholders
from provisioning.programs.health_daemon.database import Database
from provisioning.programs.health_daemon.judgement import Tracker
from provisioning.programs.health_daemon.probes import Prober

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    with group(tmp_path_factory.mktemp("group")) as (first, _):
        yield first


class Watch:
    def __init__(self, node: RealNode, password: str = "") -> None:
        self.prober, self.tracker = Prober(), Tracker(0.25)
        settings = {
            "host": node.node.private_address, "port": "3306", "user": "iam",
            "password": password or node.secrets()[placeholders.MARIADB_IAM_PASSWORD],
        }  # fmt: skip
        self.database = Database(settings, self.tracker, watch=self.prober.watch, forget=self.prober.forget)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Run the daemon's loop. Returns the time until the condition was true, or infinity."""
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            self.database.step(now)
            while (left := now + 0.1 - time.monotonic()) > 0:
                self.prober.wait(min(left, 0.01))
                self.tracker.judge(time.monotonic())
                if until():
                    return time.monotonic() - began
        return float("inf")

    def close(self) -> None:
        self.database.close(0)


@pytest.fixture
def watch(node: RealNode) -> Iterator[Watch]:
    watch = Watch(node)
    watch.run(1)
    assert watch.database.ready
    yield watch
    watch.close()


def aborted(node: RealNode) -> str:
    return node.sql("SHOW GLOBAL STATUS LIKE 'Aborted_connects';").split()[-1]


def test_a_stopped_server_is_noticed_immediately_and_its_return_within_a_second(node: RealNode, watch: Watch) -> None:
    node.processes["mariadb"].kill()
    assert watch.run(1, lambda: watch.tracker.failing) < 0.1
    assert watch.run(1, lambda: not watch.tracker.failing) == float("inf")
    node.start_mariadb()
    assert watch.run(2, lambda: not watch.tracker.failing) < 1


def test_a_hung_server_is_noticed_and_not_asked_again_and_again(node: RealNode, watch: Watch) -> None:
    before = aborted(node)
    node.processes["mariadb"].signal(signal.SIGSTOP)
    try:
        assert 0.2 < watch.run(2, lambda: watch.tracker.failing) < 0.5
        watch.run(2)
    finally:
        node.processes["mariadb"].signal(signal.SIGCONT)
    assert watch.run(2, lambda: not watch.tracker.failing) < 1
    assert aborted(node) == before, "interrupted handshakes count towards max_connect_errors"


def test_a_server_that_refuses_the_account_is_not_away(node: RealNode) -> None:
    watch = Watch(node, password="wrong")
    before = int(aborted(node))
    assert watch.run(1.5, lambda: watch.tracker.failing) == float("inf")
    assert int(aborted(node)) == before + 1, "one attempt in 10 s"
    watch.close()
