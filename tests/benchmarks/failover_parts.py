"""The parts of `make bench-failover`, and the goals of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RUNS = 10
PLANNED = ("rollout", "replace")  # run by the benchmark itself, not by `tandem drill`
LATE_MS = 1000.0  # for an error while a store is away, and until requests are answered when it is back


@dataclass(frozen=True, slots=True)
class Part:
    """At most 40 minutes on two idle cores."""

    profile: str
    cases: tuple[tuple[str, str], ...]  # fault and node
    delay_s: float = 0  # until a HAVIP's traffic follows its announcement
    runs: int = RUNS
    watch_s: float | None = None
    repeat: int = 1  # faults in a row
    data: Literal["external", "on-primary"] = "external"


def _cases(on: str, *faults: str) -> tuple[tuple[str, str], ...]:
    return tuple((fault, each) for fault in faults for each in on.split())


_PROGRAMS = _cases(
    "master",
    *("switchover", "nginx-reload", "nginx-stop", "nginx-kill", "nginx-hang", "keepalived-stop", "keepalived-kill"),
)
_NODE = _cases("master", "power-off", "link-down", "isolated")
_BACKUP = _cases(
    "backup",
    *("nginx-stop", "nginx-kill", "nginx-hang", "keepalived-stop", "keepalived-kill", "power-off", "link-down"),
)
_OTHERS = _cases(
    "master backup", "nginx-master-hang", "nginx-broken-reload", "keepalived-hang", "daemon-kill", "daemon-hang"
)
_SERVICES = _cases("master backup", "apiserver-kill", "apiserver-hang", "authz-kill", "authz-hang")
_STORES = _cases("data", "mariadb-stop", "redis-stop", "power-off")
_RESOURCES = _cases("master backup", "cpu-stress", "full-disk", "slow-disk", "reboot")
_IN_A_ROW = _cases("master", "nginx-kill", "keepalived-kill", "power-off")
_BOTH = _cases("both", "nginx-stop-both", "daemon-kill-both")
_QUIET = _cases("master", "none", "cpu-stress")
_DELAYED = _cases("master", "switchover", "nginx-kill", "keepalived-stop", "power-off")

PARTS: Mapping[str, Part] = {
    **{f"{profile}-programs": Part(profile, _PROGRAMS) for profile in ("fast", "balanced", "seed")},
    **{f"{profile}-node": Part(profile, _NODE) for profile in ("fast", "balanced", "seed")},
    **{f"{profile}-backup": Part(profile, _BACKUP) for profile in ("fast", "balanced", "seed")},
    "fast-planned": Part("fast", tuple((each, "master") for each in PLANNED)),
    "fast-services": Part("fast", _SERVICES),
    "fast-stores": Part("fast", _STORES, data="on-primary"),
    "fast-others": Part("fast", _OTHERS, runs=5),
    "fast-resources": Part("fast", _RESOURCES, runs=4),
    "fast-in-a-row": Part("fast", _IN_A_ROW, runs=3, repeat=2),
    "fast-both": Part("fast", _BOTH),
    "fast-quiet": Part("fast", _QUIET, runs=1, watch_s=900),
    "fast-quiet-sample": Part("fast", _QUIET, runs=1, watch_s=150),
    **{f"{profile}-delay-{delay}": Part(profile, _DELAYED, delay_s=delay, runs=3)
       for profile in ("fast", "balanced") for delay in (4, 10)},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One fault. `blackout_ms`, `lost` and `slow` are those of GET requests on new connections (200 a second)."""

    part: str
    fault: str
    on: str
    blackout_ms: float | None  # None: no response until the fault was undone
    lost: int
    slow: int
    lost_gets: int  # of all streams
    lost_posts: int
    lost_after: int  # after the fault was undone
    failovers: int
    error: str = ""  # of the drill, such as a group that did not recover; the other figures are then without meaning
    late: int = 0  # GET requests that began 200 ms after the fault or later, and were lost or slow
    lost_decisions: int = 0
    unauthorized: int = 0  # responses with status 401
    error_ms: float = 0.0  # the longest time until an error status, of logins and reads of secrets
    restored_ms: float = 0.0  # until logins and reads of secrets were answered after the undo
    settled_ms: float | None = 0.0  # until one node was master after the undo

    @property
    def key(self) -> tuple[str, str, str]:
        return self.part, self.fault, self.on


# (median, worst) in ms, and how much shorter than with the profile seed.
GOALS: Mapping[tuple[str, str], tuple[float, float, float]] = {
    ("nginx-stop", "master"): (35, 80, 20),
    ("nginx-kill", "master"): (35, 80, 20),
    ("nginx-hang", "master"): (350, 500, 0),
    ("keepalived-stop", "master"): (15, 60, 20),
    ("keepalived-kill", "master"): (15, 60, 0),
    ("power-off", "master"): (160, 300, 12),
    ("link-down", "master"): (160, 300, 12),
}
_PLANNED_ROWS = ("switchover", "nginx-reload", *PLANNED)
_UNDO_MOVES = 1  # of an isolated pair, after the healing
_SETTLED_MS = 100.0


def unmet(run: Run) -> str | None:
    """What a run of the profile `fast` must not show beside its blackout; "" if it is fine, None without a goal."""
    checks: dict[str, bool] = {}
    if run.fault in _PLANNED_ROWS:
        checks = {"lost": run.lost_gets + run.lost_posts <= 1}
    elif run.fault in ("mariadb-stop", "redis-stop"):
        checks = {
            "decisions lost": run.lost_decisions == 0, "401": run.unauthorized == 0,
            "late errors": run.error_ms < LATE_MS, "late return": run.restored_ms < LATE_MS,
        }  # fmt: skip
    elif run.fault == "isolated":
        checks = {
            "moves": run.failovers <= 1 + _UNDO_MOVES, "lost after": run.lost_after == 0,
            "two masters": run.settled_ms is not None and run.settled_ms <= _SETTLED_MS,
        }  # fmt: skip
    elif run.on == "both" or run.part.startswith("fast-quiet"):
        checks = {"moved": run.failovers == 0}
    elif run.on == "backup":
        checks = {"lost": run.lost_gets == 0, "late": run.late == 0}
    else:
        return None
    return ", ".join(name for name, fine in checks.items() if not fine)
