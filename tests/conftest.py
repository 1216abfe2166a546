"""Deselects tests that this host cannot run, and reports their number and the reason as `not proven here`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.localcloud.providers.conformance.plugin_sets import MISSING
from tests.programs import StartedPrograms

_started = StartedPrograms()
_deselected: Counter[str] = Counter()


def _missing(item: pytest.Item) -> str | None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        return "needs root (sudo make test)"
    return None


def pytest_report_header() -> str:
    if MISSING:
        return f"conformance: with localcloud's provider plugins only; real ones not on the PATH: {', '.join(MISSING)}"
    return "conformance: with localcloud's provider plugins and with the real ones"


def pytest_configure() -> None:
    sys.addaudithook(_started)


@pytest.fixture(autouse=True)
def declared_programs() -> Iterator[None]:
    """Fail a test that starts a program which a fresh system does not have."""
    yield
    found = _started.take_undeclared()
    assert not found, f"programs must be declared in tests/programs.py (started {', '.join(sorted(found))})"


# Directories whose tests share resources of the host and run one after the other, in one worker of pytest-xdist:
# a deployment on localcloud, or instances, networks and real servers. Of the other tests, each file is for one worker.
_GROUPS = {
    "end_to_end": "deployment",
    "engine": "host",
    "failover": "host",
    "keepalived": "host",
    "localcloud": "host",
    "lvs": "host",
    "nginx": "host",
    "samples": "host",
}


class _Scheduling(LoadScopeScheduling):
    """By hand, since `--dist loadgroup` has no effect with pytest 9.2: its nodes ignore the suffix of the group."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith("tests/unit/program/"):
            return "program"  # the tests use the recorded runs of the program in common
        return _GROUPS.get(file.split("/")[1], file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {item: _missing(item) for item in items}
    _deselected.update(reason for reason in reasons.values() if reason)
    deselected = [item for item in items if reasons[item]]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if not reasons[item]]


def pytest_sessionfinish(session: pytest.Session) -> None:
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["deselected"] = dict(_deselected)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # a worker of pytest-xdist; each collects all tests
    _deselected.update(getattr(node, "workeroutput", {}).get("deselected", {}) if not _deselected else {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason, count in sorted(_deselected.items()):
        terminalreporter.write_line(f"not proven here: {count} tests ({reason})", yellow=True)
