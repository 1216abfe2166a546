"""`tandem drill` with synthetic requests and a fake group: which cases run, what is counted, and the page."""

from __future__ import annotations

import io
import json
import random
import re
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from operations.drill import drill as drill_module
from operations.drill.drill import CaseRun, Drill, Injection, Options
from operations.drill.faults import FAULTS, Action, Case, OnCloud, OnNode, choose
from operations.drill.page import render_page
from operations.drill.report import Setting, make_report, make_table, read_report
from operations.drill.requests import Record
from operations.drill.result import Result, is_correct
from operations.drill.site import DrillError, Site
from operations.drill.streams import AUTHORIZATION, KEPT, LOGIN, NEW, SECRETS
from operations.drill.timeline import figures, to_data
from operations.errors import OperationError
from operations.interrupts import interrupt_on_signals
from provisioning.health.checks import Group, PublicSide
from provisioning.health.public_checks import Address, Service
from provisioning.inventory import Inventory, RemoteNode
from provisioning.traffic.serving import NodeState

VIP = "10.0.4.99"
NODES = tuple(
    RemoteNode(name, f"ins-{name}", f"10.0.4.{20 + n}", f"10.0.4.{20 + n}", "debian", (), eligible=True)
    for n, name in enumerate(("iam-a", "iam-b"))
)
INVENTORY = Inventory("tandem-test", NODES, (VIP,), "key")
ZERO = 1_795_791_600.0
SETTING = Setting("local", "fast", "on iam-a", 1.0, "2026-11-27 15:20 UTC")


def requests(outage_s: float, *, until: float = 9.0, rates: dict[str, float] | None = None) -> list[Record]:
    """Requests from 2 s before the fault. Those that begin during the outage are lost, and the first after it slow."""
    rng = random.Random(7)
    records: list[Record] = []
    for stream, rate in (rates or {NEW: 200, KEPT: 200, AUTHORIZATION: 50, SECRETS: 50, LOGIN: 2}).items():
        for number in range(int((until + 2) * rate)):
            began = -2 + number / rate
            if 0 <= began < outage_s:
                records.append(Record(stream, ZERO + began, 2.5, 0, "TimeoutError"))
            else:
                slow = outage_s <= began < outage_s + 0.02
                records.append(Record(stream, ZERO + began, 0.3 if slow else rng.uniform(0.003, 0.006), 200))
    return records


def case_run(outage_s: float = 0.035, fault: str = "nginx-stop") -> CaseRun:
    case = next(case for case in choose([fault], ["master"], on_localcloud=True))
    at = ZERO
    return CaseRun(
        case,
        {VIP: "iam-a"},
        began=at - 2,
        ended=at + 9,
        injections=[Injection(["iam-a"], at, at + 5, at + 7)],
        result=Result(requests(outage_s)),
        journals={
            "iam-a": [
                [at + 0.004, "nginx", "Stopping nginx.service - A high performance web server..."],
                [at + 0.012, "keepalived", "(VI_1) Entering FAULT STATE"],
                [at + 0.020, "keepalived", "Netlink reflector reports IP 10.0.4.99 removed"],
                [at + 5.3, "keepalived", "(VI_1) Entering BACKUP STATE"],
            ],
            "iam-b": [[at + outage_s - 0.008, "keepalived", "(VI_1) Entering MASTER STATE"]],
        },
        havip=[(at - 1.9, "iam-a"), (at + outage_s, "iam-b")],
    )


# ---- the choice -----------------------------------------------------------------------------------------------------


def test_every_fault_is_undone_or_ends_without_help() -> None:
    unaided = {fault.name for fault in FAULTS if fault.undo is None}
    assert unaided == {"nginx-reload", "reboot", "none"}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_without_names_all_faults_run_on_each_of_their_nodes() -> None:
    keys = [case.key for case in choose([], [], on_localcloud=True)]
    assert {
        "nginx-kill/master",
        "nginx-kill/backup",
        "power-off/backup",
        "mariadb-stop/data",
        "isolated/master",
    } <= set(keys)
    assert "none/master" not in keys
    assert len(set(keys)) == len(keys)


def test_on_a_real_stack_only_faults_that_are_undone_over_ssh_are_possible() -> None:
    cases = choose([], [], on_localcloud=False)
    assert cases
    for case in cases:
        assert case.fault.safe
        assert not isinstance(case.fault.inflict, OnCloud)
        assert not isinstance(case.fault.undo, OnCloud)
    with pytest.raises(ValueError, match="power-off cannot be inflicted on a stack outside localcloud"):
        choose(["power-off"], [], on_localcloud=False)
    with pytest.raises(ValueError, match=r"a fault must be one of switchover, .* \(got nginx-stopp\)"):
        choose(["nginx-stopp"], [], on_localcloud=True)


# ---- what is counted ------------------------------------------------------------------------------------------------


def test_lost_slow_and_blackout_are_counted_by_stream() -> None:
    found = figures(case_run(outage_s=0.5))
    assert (found[NEW]["lost"], found[NEW]["slow"]) == (100, 4)
    assert found[NEW]["blackout_ms"] == pytest.approx(520, abs=10), "the time between two correct responses"
    assert found[AUTHORIZATION]["lost"] == 25
    assert found["GET"]["lost"] == found[NEW]["lost"] + found[KEPT]["lost"] + found[SECRETS]["lost"]
    assert found[NEW]["recovery"]["lost"] == 0
    assert found[NEW]["recovery"]["sent"] == 800


def test_an_outage_that_lasts_to_the_end_is_measured_to_the_end() -> None:
    result = Result([record for record in requests(outage_s=100) if record.stream == NEW])
    assert result.blackout_s() == pytest.approx(9, abs=0.05)
    assert Result(result.lost()).blackout_s() == float("inf"), "no correct response at all"


@pytest.mark.parametrize(
    ("status", "took", "lost", "slow"),
    [
        pytest.param(200, 0.1, 0, 0, id="in time"),
        pytest.param(200, 0.3, 0, 1, id="later than 250 ms"),
        pytest.param(200, 2.1, 1, 0, id="later than 2 s"),
        pytest.param(502, 0.1, 1, 0, id="an error of nginx"),
        pytest.param(0, 0.1, 1, 0, id="no response"),
    ],
)
def test_a_request_is_correct_slow_or_lost(status: int, took: float, lost: int, slow: int) -> None:
    result = Result([Record(NEW, ZERO, took, status)])
    assert (len(result.lost()), len(result.slow())) == (lost, slow)


@pytest.mark.parametrize(("status", "correct"), [(200, True), (302, True), (404, True), (502, False), (0, False)])
def test_only_an_error_of_the_server_is_wrong_for_a_site(status: int, correct: bool) -> None:  # noqa: FBT001 - from above
    assert is_correct(Record(NEW, ZERO, 0.1, status, any_answer=True)) is correct


def test_each_change_of_master_is_counted() -> None:
    assert to_data(case_run())["failovers"] == [[pytest.approx(0.027), "iam-b"]]


def test_statuses_and_the_slowest_error_are_counted_by_stream() -> None:
    run = case_run()
    run.result.records += [Record(LOGIN, ZERO + 1, 0.4, 503), Record(LOGIN, ZERO + 2, 2.5, 0, "TimeoutError")]
    found = figures(run)[LOGIN]
    assert (found["statuses"]["503"], found["statuses"]["0"]) == (1, 2)
    assert found["error_ms"] == 400, "a request without a response has its own count"


def test_a_fault_that_requests_notice_after_200_ms_is_counted() -> None:
    assert figures(case_run(outage_s=0.15))["GET"]["late"] == 0
    assert figures(case_run(outage_s=0.3))[NEW]["late"] == 25, "lost and slow requests, 200 a second"


def test_the_time_until_requests_are_answered_after_the_undo_is_measured() -> None:
    run = case_run()
    assert figures(run)[SECRETS]["recovery"]["restored_ms"] == 0
    run.result.records += [Record(SECRETS, ZERO + 5 + after, 0.1, 503) for after in (0.2, 0.7)]
    assert figures(run)[SECRETS]["recovery"]["restored_ms"] == pytest.approx(700)
    assert figures(run)[NEW]["recovery"]["restored_ms"] == 0


def test_the_time_of_the_second_fault_in_a_row_is_not_part_of_the_recovery() -> None:
    run = case_run(outage_s=0.3)
    run.injections = [Injection(["iam-a"], ZERO, ZERO + 2, ZERO + 2.2), Injection(["iam-b"], ZERO + 3, ZERO + 5, None)]
    assert figures(run)[NEW]["recovery"]["blackout_ms"] < 20
    for began in (2.5, 2.505, 2.51):
        run.result.records.remove(next(each for each in run.result.records if each.began == ZERO + began))
    assert figures(run)[NEW]["recovery"]["blackout_ms"] == pytest.approx(20, abs=4), "of the first window"


def test_a_fault_that_was_not_undone_has_no_figures_of_a_recovery() -> None:
    run = case_run(outage_s=100)
    run.injections, run.error = [Injection(["iam-a"], ZERO)], "the group is not ready within 180 s"
    data = make_report(SETTING, [to_data(run)])
    (row,) = [line for line in shown(data).splitlines() if "nginx stopped on the master" in line]
    assert re.search(r" - +\S$", row.strip()), "not: 0 lost, 0 ms"
    assert "<td>-</td><td>-</td></tr>" in render_page(data)


def test_a_drill_without_requests_is_an_error() -> None:
    with pytest.raises(DrillError, match="the client sent no request"):
        list(replace(FakeSite().drill(), options=Options("fast", 0.0)).run(cases("nginx-stop")))


def test_the_time_until_one_node_is_master_after_the_undo_is_measured() -> None:
    run = case_run(fault="isolated")
    assert to_data(run)["settled_ms"] == 0, "iam-b was the only master before"
    del run.journals["iam-a"][:]
    assert to_data(run)["settled_ms"] is None, "iam-a is still master, too"
    run.journals["iam-a"].append([ZERO + 5.06, "keepalived", "(VI_1) Entering BACKUP STATE"])
    assert to_data(run)["settled_ms"] == pytest.approx(60)


# ---- the sequence ---------------------------------------------------------------------------------------------------


@dataclass
class FakeSite:
    """A group whose master changes when a fault is inflicted on it, and a load that lasts as long as the block."""

    master: str = "iam-a"
    broken: set[str] = field(default_factory=set[str])
    applied: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    clock: float = ZERO - 100
    recovers: bool = True
    refuses: dict[str, str] = field(default_factory=dict[str, str])  # the error, by node and script
    interrupted: bool = False  # Ctrl+C during the time to watch
    interrupted_undo: bool = False  # Ctrl+C during the undo
    dies: str = ""  # the error of the load
    reported: list[str] = field(default_factory=list[str])
    group: Group = field(default_factory=lambda: Group(PublicSide((), (), ""), INVENTORY, {}))

    def states(self) -> list[NodeState]:
        return [
            NodeState(
                node,
                units=("nginx", "keepalived"),
                health={"nginx": "does not respond" if node.name in self.broken else ""},
                held=(VIP,) if node.name == self.master else (),
                can_be_master=node.name not in self.broken,
            )
            for node in NODES
        ]

    def apply(self, action: Action, node: str) -> float:
        assert isinstance(action, OnNode | OnCloud)
        script = action.script if isinstance(action, OnNode) else " ".join(action.words)
        if error := self.refuses.get(f"{node} {script}"):
            raise DrillError(error)
        inflicted = node not in self.broken
        if self.interrupted_undo and not inflicted:
            self.interrupted_undo = False
            raise KeyboardInterrupt
        self.applied.append((node, script))
        if inflicted:
            self.broken.add(node)
            self.master = next(each.name for each in NODES if each.name != node) if node == self.master else self.master
        elif self.recovers:
            self.broken.discard(node)
        return self.clock

    def journals(self, since: float) -> dict[str, list[list[Any]]]:
        del since
        return {node.name: [] for node in NODES}

    @contextmanager
    def load(self, scale: float, folder: Path) -> Generator[Result]:
        del folder
        result = Result()
        began = self.clock
        yield result
        if self.dies:
            raise DrillError(self.dies)
        rate = 200 * scale
        result.records = [
            Record(NEW, began + number / rate, 0.004, 200) for number in range(int((self.clock - began) * rate))
        ]

    def sleep(self, seconds: float) -> None:
        if self.interrupted and self.broken:
            raise KeyboardInterrupt
        self.clock += seconds

    def drill(self, *, repeat: int = 1) -> Drill:
        site: Any = self
        return Drill(site, Options("fast", 0.1, repeat), self.reported.append, sleep=self.sleep, now=lambda: self.clock)


def cases(*names: str) -> list[Case]:
    return choose(names, [], on_localcloud=True)


def test_a_fault_is_inflicted_undone_and_recovered_on_the_master_and_on_the_backup() -> None:
    site = FakeSite()
    runs = list(site.drill().run(cases("nginx-stop")))
    assert site.applied == [
        ("iam-a", "systemctl stop nginx"), ("iam-a", "systemctl start nginx"),
        ("iam-a", "systemctl stop nginx"), ("iam-a", "systemctl start nginx"),
    ]  # fmt: skip
    assert [run.masters for run in runs] == [{VIP: "iam-a"}, {VIP: "iam-b"}], "iam-a is backup after the first case"
    for run in runs:
        (injection,) = run.injections
        assert injection.undone is not None
        assert injection.ready is not None
        assert injection.undone - injection.at == pytest.approx(5), "the time that the profile needs"
        assert not run.error


def test_two_faults_in_a_row_hit_the_node_that_is_master_then() -> None:
    site = FakeSite()
    (run, *_) = site.drill(repeat=2).run(cases("nginx-stop")[:1])
    assert [injection.nodes for injection in run.injections] == [["iam-a"], ["iam-b"]]


def test_a_fault_without_its_unit_is_skipped() -> None:
    site = FakeSite()
    (run, *_) = site.drill().run(cases("daemon-kill")[:1])
    assert (run.skipped, site.applied) == ("tandem-health does not run in this deployment", [])
    assert to_data(run)["skipped"]


def test_a_group_that_does_not_recover_ends_the_drill() -> None:
    site = FakeSite(recovers=False)
    seen: list[CaseRun] = []

    def collect(runs: Iterator[CaseRun]) -> None:
        seen.extend(iter(lambda: next(runs), None))

    with pytest.raises(DrillError, match=r"nginx stopped on the master: the group is not ready within 180 s\n  iam-a"):
        collect(site.drill().run(cases("nginx-stop")))
    assert len(seen) == 1, "what was seen is kept"


def test_a_drill_does_not_begin_on_a_group_with_two_masters() -> None:
    site = FakeSite()
    both = [replace(state, held=(VIP,)) for state in site.states()]
    site.states = lambda: both  # type: ignore[method-assign] - a method of the fake
    with pytest.raises(DrillError, match=r"10\.0\.4\.99 is held by iam-a and iam-b"):
        list(site.drill().run(cases("nginx-stop")))
    assert site.applied == []


def test_a_fault_is_undone_when_the_drill_is_interrupted() -> None:
    site = FakeSite(interrupted=True)
    with pytest.raises(KeyboardInterrupt):
        list(site.drill().run(cases("nginx-hang")))
    assert site.applied[1:] == [("iam-a", "systemctl kill --kill-who=all -s CONT nginx")]
    assert not site.broken


def test_an_undo_that_is_interrupted_is_repeated_on_the_nodes_that_it_has_not_reached() -> None:
    site = FakeSite(interrupted_undo=True)
    with pytest.raises(KeyboardInterrupt):
        list(site.drill().run(cases("nginx-stop-both")))
    assert sorted(site.applied[2:]) == [("iam-a", "systemctl start nginx"), ("iam-b", "systemctl start nginx")]
    assert not site.broken


@pytest.mark.parametrize("ending", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_interrupts_the_drill(ending: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGTERM)}
    try:
        signal.signal(ending, signal.SIG_DFL)
        interrupt_on_signals()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(ending)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_a_fault_of_both_nodes_is_undone_on_both_if_one_refuses_it() -> None:
    site = FakeSite(refuses={"iam-a systemctl stop nginx": "no SSH", "iam-a systemctl start nginx": "still no SSH"})
    with pytest.raises(DrillError, match="nginx stopped on both nodes: no SSH"):
        list(site.drill().run(cases("nginx-stop-both")))
    assert site.applied == [("iam-b", "systemctl stop nginx"), ("iam-b", "systemctl start nginx")]
    assert site.reported[-1] == "The fault was not undone: still no SSH"


def test_a_fault_that_cannot_be_undone_on_one_node_is_undone_on_the_others() -> None:
    site = FakeSite(refuses={"iam-a systemctl start nginx": "no SSH"})
    with pytest.raises(DrillError, match="nginx stopped on both nodes: no SSH"):
        list(site.drill().run(cases("nginx-stop-both")))
    assert site.applied[-1] == ("iam-b", "systemctl start nginx")


@pytest.mark.parametrize("profile", ["fast", "balanced", "seed"])
def test_every_profile_has_a_time_to_watch(profile: str) -> None:
    assert drill_module.WATCH_S[profile] >= 5


# ---- table, JSON and page -------------------------------------------------------------------------------------------


def report(outage_s: float, profile: str = "fast") -> dict[str, Any]:
    runs = [case_run(outage_s), case_run(outage_s / 2, "keepalived-stop")]
    skipped = CaseRun(cases("daemon-kill")[0], {}, skipped="tandem-health does not run in this deployment")
    data = [to_data(run) for run in [*runs, skipped]]
    return json.loads(json.dumps(make_report(replace(SETTING, profile=profile), data)))


def shown(data: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(make_table(data))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_has_a_row_for_each_stream() -> None:
    text = shown(report(0.5))
    (row,) = [line for line in text.splitlines() if "nginx stopped on the master" in line]
    assert re.search(r"authorization +\S 500 +\S 25 ", row)
    assert "skipped: tandem-health does not run" in text
    assert "lost: no correct response within 2 s" in text


def drawings(page: str) -> list[ET.Element]:
    return [ET.fromstring(found) for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]  # noqa: S314 - own output


def test_the_page_shows_requests_masters_and_log_lines_on_one_axis() -> None:
    page = render_page(report(0.5))
    around, whole, *_ = drawings(page)
    for drawing in (around, whole):
        kinds = {shape.get("class") for shape in drawing.iter("rect")}
        assert {"correct", "lost", "slow", "fault", "vrrp master", "vrrp fault", "havip", "line"} <= kinds
        lanes = [label.text for label in drawing.iter("text") if label.get("class") == "lane"]
        assert lanes == [AUTHORIZATION, KEPT, NEW, LOGIN, SECRETS, "VRRP iam-a", "VRRP iam-b", "HAVIP", "log"]
    titles = [title.text or "" for title in whole.iter("title")]
    assert "+0.012 s iam-a keepalived: (VI_1) Entering FAULT STATE" in titles
    assert not [title for title in titles if "Netlink" in title], "only telling lines"


def test_every_shape_is_inside_its_drawing() -> None:
    for drawing in drawings(render_page(report(0.5), report(4.0, "seed"))):
        width, height = (float(value) for value in (drawing.get("viewBox") or "").split()[2:])
        for shape in drawing.iter("rect"):
            x, y, w, h = (float(shape.get(name) or "nan") for name in ("x", "y", "width", "height"))
            assert 0 <= x <= x + w <= width + 2
            assert 0 <= y <= y + h <= height + 0.2


def test_the_page_is_self_contained() -> None:
    page = render_page(report(0.5), report(4.0, "seed"))
    assert not re.search(r"<script|<link|<img|https?://|url\(|@import", page)
    assert len(page) < 500_000


def test_the_same_fault_of_another_drill_is_beside_it() -> None:
    page = render_page(report(0.035), report(4.0, "seed"))
    first = page[page.index("<h2") : page.index("<h2", page.index("<h2") + 1)]
    assert re.findall(r"<h3>Profile (\w+)</h3>", first) == ["fast", "seed"]


def test_text_of_the_log_is_escaped() -> None:
    run = case_run()
    run.journals["iam-a"].append([ZERO + 1, "nginx", "failed <script>alert(1)</script>"])
    page = render_page(make_report(SETTING, [to_data(run)]))
    assert "<script>" not in page


def test_a_file_that_is_no_result_of_a_drill_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    for text in ("{", "[]", '{"version": 0}'):
        file.write_text(text)
        with pytest.raises(OperationError, match=r"x\.json"):
            read_report(file)
    with pytest.raises(OperationError, match="cannot be read"):
        read_report(tmp_path / "missing.json")


def test_localcloud_reports_when_a_fault_began() -> None:
    def cloud(arguments: Sequence[str]) -> str:
        assert list(arguments) == ["iam-a", "isolate-from", "iam-b"]
        return "00:00:01.500 iam-a isolate-from: no packet passes (3.2 ms)\n"

    site = Site(Group(PublicSide((), (), ""), INVENTORY, {}), lambda _node: pytest.fail("no SSH"), cloud, list)
    assert site.apply(OnCloud(("isolate-from", "PEER")), "iam-a") % 60 == pytest.approx(1.5)


def test_a_client_that_ends_during_the_load_is_an_error(tmp_path: Path) -> None:
    """Its records end before the losses, so they would show a good result."""
    public = PublicSide((Address("203.0.113.9"),), (Service("api", "iam.api.example.com"),), "")
    site = Site(Group(public, INVENTORY, {}), lambda _node: pytest.fail("no SSH"), None, list)
    dies = replace(site, client=_Prints("print('ready', flush=True); sys.exit('MemoryError')"))
    with pytest.raises(DrillError, match="the client ended during the load: MemoryError"), dies.load(1, tmp_path):
        pass


def test_a_load_that_fails_is_the_error_of_its_case_and_the_fault_is_undone() -> None:
    site, seen = FakeSite(dies="the client ended during the load"), list[CaseRun]()
    with pytest.raises(DrillError, match="nginx stopped on the master: the client ended"):
        seen.extend(site.drill().run(cases("nginx-stop")))
    assert [script for _, script in site.applied] == ["systemctl stop nginx", "systemctl start nginx"]
    assert [(len(run.injections), run.error) for run in seen] == [(1, "the client ended during the load")]


@dataclass
class ClockNode:
    """The connection to a node whose clock is ahead, and whose scripts take a second."""

    node: RemoteNode
    clock: list[float]
    ahead_s: float

    def call(self, operations: Sequence[dict[str, Any]], **_: object) -> list[Any]:
        (operation,) = operations
        self.clock[0] += 0.1
        at = self.clock[0] + self.ahead_s
        if operation["do"] == "run_script":
            self.clock[0] += 1.1
            return [{"at": at, "took_s": 1.0, "code": 0, "out": ""}]
        if operation["do"] == "journal":
            lines = [[at - operation["for_s"] + after, "nginx", "Stopped"] for after in (-0.5, 0.5)]
            return [{"at": at, "lines": lines}]
        return [None]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("ahead_s", [0.0, 4.0, -90.0])
def test_times_of_a_node_whose_clock_differs_are_converted_to_the_operators_clock(ahead_s: float) -> None:
    """Requests have the operator's times: a fault 4 s later on their axis would hide lost requests."""
    clock = [ZERO]

    def connect(node: RemoteNode) -> Any:
        return ClockNode(node, clock, ahead_s)

    site = Site(Group(PublicSide((), (), ""), INVENTORY, {}), connect, None, list, now=lambda: clock[0])
    began = clock[0]
    assert began <= site.run("systemctl stop nginx", "iam-a") <= began + 0.5
    for lines in site.journals(since=ZERO).values():
        assert [at for at, _, _ in lines] == [pytest.approx(ZERO + 0.5, abs=0.3)], "not those before"


def test_on_localcloud_requests_come_from_all_addresses_of_the_client() -> None:
    # Debian 12 prints {} for each address that is not of the family or scope.
    links = json.dumps([{"addr_info": [{}, {"local": "198.51.100.10"}, {"local": "198.51.100.11"}]}])
    group = Group(PublicSide((), (), ""), INVENTORY, {})
    site = Site(group, lambda _node: pytest.fail("no SSH"), lambda _words: "", list)
    shown = replace(site, client=_Prints(f"print({links!r})"))
    assert shown.sources() == ["198.51.100.10", "198.51.100.11"]
    assert replace(shown, cloud=None).sources() == []
    with pytest.raises(DrillError, match="addresses cannot be read"):
        replace(site, client=_Prints("sys.exit('no namespace')")).sources()


@dataclass(frozen=True)
class _Prints:
    """Turns each command into one that runs this code."""

    code: str

    def __call__(self, command: Sequence[str]) -> Sequence[str]:
        del command
        return [sys.executable, "-c", f"import sys; {self.code}"]
