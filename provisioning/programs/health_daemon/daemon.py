"""The loop: start probes, judge their answers, report to keepalived, take servers out."""

# ruff: noqa: PTH123 - pathlib and its imports would cost this daemon 1 MB
from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import Any

from . import files, resets
from .database import Database
from .events import Events
from .judgement import Server, Tracker, Verdict, servers_out
from .probes import MASTER_REQUEST, NGINX_REQUEST, PEER_REQUEST, Prober, Target

BOOT_S = 30.0
_SLICE_S = 0.001  # answers of nodes in the same zone arrive within this time, and are handled together
_LATE_S = 0.05  # this process did not run for so long: the machine stalled, which says nothing about a target
_SERVICE_PROBES = 2  # in each interval, so that many nodes do not cost more CPU time
_HOUSEKEEPING_S = 1.0
_WATCHDOG_S = 0.3
_PEER_S = 0.5  # the hook of nginx ignores a word about the peer that is older than two seconds
_LOWEST_FREE, _ENOUGH_FREE = 16 << 20, 64 << 20  # bytes for request bodies that nginx buffers on disk
_HTTP_PORT = 80
_SECOND_MASTER_LOOKS = 3  # the state may be one second old on both nodes
_ERROR_STATUS = 300
_DOWN = re.compile(r"^\s*server\s+([\d.]+):(\d+)\b[^;\n]*\bdown\b", re.MULTILINE)


class Daemon:
    def __init__(self, settings: dict[str, Any], database: dict[str, str] | None = None) -> None:
        patience_s, self.fault, self.lowered = settings["patience_s"], settings["fault"], settings["lowered"]
        self.interval_s, self.disk, self.upstreams = settings["interval_s"], settings["disk"], settings["upstreams"]
        now = time.monotonic()
        self.nginx = Tracker(patience_s, settings["rise"])
        self.hosts = {address: Tracker(patience_s) for address in settings["peers"]}
        # A peer counts as silent until it has answered.
        self.peers = {address: Tracker(patience_s, failing=True) for address in settings["peers"]}
        self.servers = [
            Server(each["name"], address, port, Tracker(each["patience_s"], settings["rise"]), self.hosts.get(address))
            for each in settings["services"]
            for address, port in each["servers"]
        ]
        requests = {each["name"]: each["request"].encode() for each in settings["services"]}
        self.targets = [
            Target("127.0.0.1", _HTTP_PORT, NGINX_REQUEST, self.nginx, lowest_fault=_ERROR_STATUS),
            *(
                Target(address, _HTTP_PORT, PEER_REQUEST, self.peers[address], host=host, lowest_fault=_ERROR_STATUS,
                       prompt=True)
                for address, host in self.hosts.items()
            ),
        ]  # fmt: skip
        self.service_targets = [
            Target(server.address, server.port, requests[server.name], server.tracker) for server in self.servers
        ]
        self.trackers = [
            *(self.nginx, *self.hosts.values(), *self.peers.values()), *(server.tracker for server in self.servers)
        ]  # fmt: skip
        # Answered with 200 while the peer is master, otherwise with 404. They do not count as failures.
        self.masters = {
            (router, address): Target(address, _HTTP_PORT, MASTER_REQUEST.format(router).encode(), Tracker(patience_s),
                                      lowest_fault=_ERROR_STATUS)
            for router in settings["routers"]
            for address in settings["peers"]
        }  # fmt: skip
        self.both_masters: dict[tuple[str, str], int] = {}
        self.booting = not files.read(files.BOOTED_FILE)
        self.verdict = Verdict(
            self.nginx,
            list(self.peers.values()),
            self.fault,
            prompt_s=1.5 * self.interval_s,
            boot_until=now + BOOT_S if self.booting else 0.0,
        )
        self.last = files.read(files.TRACK_FILE)  # the content of the track_file
        self.is_able: bool | None = None  # whether ABLE_FILE exists
        self.failing: list[bool] = []
        if self.booting or self.last == str(self.fault):
            self.nginx.fail(0.0)
            self.verdict.keep_fault()
        self.prober = Prober()
        self.database: Database | None = None
        if database:
            self.database = Database(database, Tracker(patience_s), watch=self.prober.watch, forget=self.prober.forget)
            self.trackers.append(self.database.tracker)
            if files.exists(files.AWAY_FILE):  # the database was away when the last daemon ended
                self.database.tracker.fail(0.0)
        self.systemd = files.Systemd(dict(os.environ))
        self.events = Events(files.EVENTS_FIFO)
        self.out = self._restore_out()
        self.down: set[tuple[str, int]] = set()
        self.disk_is_full = False
        self.rotation = 0
        self.next_housekeeping = self.next_watchdog = self.next_peer = now

    # ---- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        self.systemd.notify("READY=1")
        probed = False
        tick = time.monotonic()
        while True:
            self.run_interval(tick)
            if not probed:
                files.write(files.PROBED_FILE, "1")
                probed = True
            tick = max(tick + self.interval_s, time.monotonic() - self.interval_s)

    def run_interval(self, tick: float) -> None:
        """Probe all that is due, and judge until the next interval."""
        now = time.monotonic()
        kept_house = self._keep_house(now)
        self.prober.expire(now)
        if self.database:
            self.database.step(now)
        for target in [*self.targets, *self._due(now)]:
            self.prober.start(target, now)
        for _ in range(2):  # connected; answered
            self._sleep(_SLICE_S)
            self.prober.wait(0)
            if not self.prober.is_waiting:
                break
        now = time.monotonic()
        self.report(now, changed=self.judge(now) or kept_house)
        while (left := tick + self.interval_s - time.monotonic()) > 0:
            self._wait(min(left, self._next_deadline() - time.monotonic()))
            now = time.monotonic()
            if self.judge(now):
                self.report(now, changed=True)

    def _sleep(self, planned_s: float) -> None:
        began = time.monotonic()
        time.sleep(planned_s)
        self._skip_lost_time(began + planned_s)

    def _wait(self, planned_s: float) -> None:
        began = time.monotonic()
        self.prober.wait(planned_s)
        self._skip_lost_time(began + max(0.0, planned_s))

    def _skip_lost_time(self, expected: float) -> None:
        lost_s = time.monotonic() - expected
        if lost_s > _LATE_S:
            for tracker in self.trackers:
                tracker.skip(lost_s)

    def _next_deadline(self) -> float:
        return min(
            (each.suspect_since + each.patience_s for each in self.trackers
             if each.suspect_since is not None and not each.failing),
            default=float("inf"),
        )  # fmt: skip

    def _due(self, now: float) -> list[Target]:
        """A few services in turn, and those that did not answer the last time: one lost packet is not a failure."""
        count = min(_SERVICE_PROBES, len(self.service_targets))
        turn = {(self.rotation + step) % len(self.service_targets) for step in range(count)}
        self.rotation += count
        return [
            target
            for number, target in enumerate(self.service_targets)
            if number in turn or target.tracker.needs_another_probe(now)
        ]

    def _keep_house(self, now: float) -> bool:
        """Return whether the disk and the marks in nginx's upstreams were looked at."""
        if now >= self.next_watchdog:
            self.systemd.notify("WATCHDOG=1")
            self.next_watchdog = now + _WATCHDOG_S
        if now < self.next_housekeeping:
            return False
        free = files.free_bytes(self.disk)
        if free is not None:
            self.disk_is_full = free < (_ENOUGH_FREE if self.disk_is_full else _LOWEST_FREE)
        texts = [files.read_all(path) for path in self.upstreams]
        self.down = {(address, int(port)) for text in texts for address, port in _DOWN.findall(text)}
        if self.out:
            self._apply(self.out)  # the packet rules may have been loaded again
        self._look_for_second_master(now)
        self.next_housekeeping = now + _HOUSEKEEPING_S
        return True

    def _look_for_second_master(self, now: float) -> None:
        """Report a peer that is master, too, although it answers: a filter drops VRRP between the nodes."""
        for key, target in self.masters.items():
            router = key[0]
            peer_is_master = target.tracker.last_ok >= now - 1.5 * _HOUSEKEEPING_S
            both = peer_is_master and files.exists(f"{files.MASTER_DIRECTORY}/{router}")
            self.both_masters[key] = self.both_masters.get(key, 0) + 1 if both else 0
            if self.both_masters[key] == _SECOND_MASTER_LOOKS:
                self.events.report_second_master(router)
            self.prober.start(target, now)

    # ---- decisions ---------------------------------------------------------------------------------------------------

    def judge(self, now: float) -> bool:
        """Return whether a target has failed or recovered since the last call."""
        before, self.failing = self.failing, [tracker.judge(now) or tracker.failing for tracker in self.trackers]
        return before != self.failing

    def report(self, now: float, *, changed: bool) -> None:
        peer = "silent" if all(each.failing for each in self.peers.values()) else "answers"
        if changed or now >= self.next_peer:
            files.write(files.PEER_FILE, f"{peer} {int(time.clock_gettime(time.CLOCK_BOOTTIME))}")
            self.next_peer = now + _PEER_S
        self._report_value(now)
        if not changed:
            return
        if self.database:
            files.set_flag(files.AWAY_FILE, exists=self.database.tracker.failing)
        out = servers_out(self.servers, self.out, self.down)
        if out != self.out:
            self._take_out(out)
        self._report_events()

    def _report_value(self, now: float) -> None:
        seen = files.read(files.TRACK_FILE)
        if seen != self.last:
            self._adopt(seen)
        value = self.verdict.value(lowered=self.lowered if self.disk_is_full else 0, now=now)
        is_able = value != self.fault
        if is_able != self.is_able:
            files.set_flag(files.ABLE_FILE, exists=is_able)
            self.is_able = is_able
        if seen != str(value):
            files.write(files.TRACK_FILE, str(value))
        self.last = str(value)
        if self.booting and not self.verdict.boot_until:
            files.write(files.BOOTED_FILE, "1")
            self.booting = False

    def _adopt(self, value: str) -> None:
        """Systemd has reported that nginx has stopped or started; only probes from now on count."""
        if value == str(self.fault):
            self.nginx.fail(0.0, "it has stopped, as systemd reports")
            self.verdict.keep_fault()
            self.is_able = False
        elif value == "0":
            self.nginx.forget()

    def _take_out(self, out: set[tuple[str, int]]) -> None:
        new = out - self.out
        if self._apply(out):
            self.out = out
            try:
                files.write_json(files.OUT_FILE, sorted(out))
                if new:
                    resets.destroy_connections(new)
            except OSError as error:
                print(f"open connections to {sorted(new)} remain: {error}", file=sys.stderr)

    def _apply(self, out: set[tuple[str, int]]) -> bool:
        try:
            resets.set_out(out)
        except OSError as error:  # no table: tandem-firewall has not loaded it
            print(f"cannot refuse connections to {sorted(out)}: {error}", file=sys.stderr)
            return False
        return True

    def _restore_out(self) -> set[tuple[str, int]]:
        """The servers that were out when the daemon ended stay out until they have passed their checks."""
        try:
            with open(files.OUT_FILE, encoding="ascii") as file:
                saved = {(str(address), int(port)) for address, port in json.load(file)}
        except (OSError, ValueError):
            saved = set()
        for server in self.servers:
            if server.key in saved:
                server.tracker.fail(0.0)
        return saved & {server.key for server in self.servers}

    # ---- events ------------------------------------------------------------------------------------------------------

    def _report_events(self) -> None:
        judge = self.events.judge_tracker
        judge("nginx", self.nginx, boots=bool(self.verdict.boot_until))
        if self.database:
            judge("database", self.database.tracker)
        seen = f"less than {_LOWEST_FREE >> 20} MiB are free"
        self.events.judge(f"disk {self.disk}", failing=self.disk_is_full, seen=seen, certain=True)
        for address, host in self.hosts.items():
            judge(f"node {address}", host)
            judge(f"nginx of {address}", self.peers[address], host=host)
        for server in self.servers:
            judge(f"{server.name} at {server.address}:{server.port}", server.tracker, host=server.host)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    database = None
    if len(sys.argv) > 2:  # noqa: PLR2004 - without the IAM services there is no database
        with open(sys.argv[2], encoding="utf-8") as file:
            database = json.load(file)
    Daemon(settings, database).run()
