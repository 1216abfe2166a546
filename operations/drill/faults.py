"""The faults of a drill. To add one, add a line to FAULTS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Target = Literal["master", "backup", "data", "both"]


@dataclass(frozen=True, slots=True)
class OnNode:
    """A shell script that runs as root on the node, over SSH."""

    script: str


@dataclass(frozen=True, slots=True)
class OnCloud:
    """`localcloud fault NODE WORDS`; the word PEER stands for the other eligible node."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned switchover to the peer (`tandem switchover`)."""


@dataclass(frozen=True, slots=True)
class EndDrains:
    """Ends the drain that a switchover leaves in a mode in which the virtual IP would otherwise return."""


Action = OnNode | OnCloud | Planned | EndDrains


@dataclass(frozen=True, slots=True)
class Fault:
    name: str  # on the command line
    title: str
    inflict: Action
    undo: Action | None
    on: tuple[Target, ...] = ("master", "backup")
    safe: bool = False  # on a real stack: it is undone over SSH, and no data is touched
    needs: str = ""  # a unit: skipped on nodes where it does not run
    lasts_s: float = 0.0  # to watch longer than the profile needs for a failover


def _signal(unit: str, signal: str) -> OnNode:
    return OnNode(f"systemctl kill --kill-who=all -s {signal} {unit}")


def _start(*units: str) -> OnNode:
    return OnNode(f"systemctl start {' '.join(units)}")


_HEAL = OnCloud(("heal",))
_MASTER_PROCESS = "$(systemctl show --property=MainPID --value nginx)"
_BROKEN = "/etc/nginx/conf.d/zz-drill.conf"

FAULTS: tuple[Fault, ...] = (
    Fault("switchover", "planned switchover", Planned(), EndDrains(), on=("master",), safe=True, lasts_s=3),
    Fault("nginx-stop", "nginx stopped", OnNode("systemctl stop nginx"), _start("nginx"), safe=True),
    Fault("nginx-kill", "nginx killed (kill -9)", _signal("nginx", "KILL"), _start("nginx"), safe=True),
    Fault("nginx-hang", "nginx hangs (SIGSTOP of all processes)", _signal("nginx", "STOP"), _signal("nginx", "CONT"),
          safe=True),
    Fault("nginx-master-hang", "nginx's master process hangs (SIGSTOP)", OnNode(f"kill -STOP {_MASTER_PROCESS}"),
          OnNode(f"kill -CONT {_MASTER_PROCESS}"), safe=True),
    Fault("nginx-reload", "nginx reloaded", OnNode("systemctl reload nginx"), None, safe=True),
    Fault("nginx-broken-reload", "reload with a broken configuration",
          OnNode(f"echo broken > {_BROKEN}; systemctl reload nginx; true"),
          OnNode(f"rm {_BROKEN}; systemctl reload nginx"),
          safe=True),
    Fault("keepalived-stop", "keepalived stopped", OnNode("systemctl stop keepalived"), _start("keepalived"),
          safe=True),
    Fault("keepalived-kill", "keepalived killed (kill -9)", _signal("keepalived", "KILL"), _start("keepalived"),
          safe=True),
    Fault("keepalived-hang", "keepalived hangs (SIGSTOP)", _signal("keepalived", "STOP"), _signal("keepalived", "CONT"),
          safe=True),
    Fault("daemon-kill", "health daemon killed (kill -9)", _signal("tandem-health", "KILL"), _start("tandem-health"),
          safe=True, needs="tandem-health"),
    Fault("daemon-hang", "health daemon hangs (SIGSTOP)", _signal("tandem-health", "STOP"),
          OnNode("systemctl kill -s CONT tandem-health; systemctl start tandem-health"), safe=True,
          needs="tandem-health"),
    Fault("apiserver-kill", "iam-apiserver killed", _signal("iam-apiserver", "KILL"), _start("iam-apiserver"),
          safe=True, needs="iam-apiserver"),
    Fault("apiserver-hang", "iam-apiserver hangs", _signal("iam-apiserver", "STOP"), _signal("iam-apiserver", "CONT"),
          safe=True, needs="iam-apiserver"),
    Fault("authz-kill", "iam-authz-server killed", _signal("iam-authz-server", "KILL"), _start("iam-authz-server"),
          safe=True, needs="iam-authz-server"),
    Fault("authz-hang", "iam-authz-server hangs", _signal("iam-authz-server", "STOP"),
          _signal("iam-authz-server", "CONT"), safe=True, needs="iam-authz-server"),
    Fault("mariadb-stop", "MariaDB stopped", OnNode("systemctl stop mariadb"), _start("mariadb"), on=("data",),
          needs="mariadb"),
    Fault("redis-stop", "Redis stopped", OnNode("systemctl stop redis-server"), _start("redis-server"), on=("data",),
          needs="redis-server"),
    Fault("power-off", "node powered off", OnCloud(("power-off",)), OnCloud(("power-on",)),
          on=("master", "backup", "data")),
    Fault("reboot", "node reboots", OnNode("systemctl reboot"), None, lasts_s=8),
    Fault("link-down", "network link down", OnCloud(("link-down",)), OnCloud(("link-up",))),
    Fault("isolated", "isolated from the peer only", OnCloud(("isolate-from", "PEER")), _HEAL, on=("master",)),
    Fault("cpu-stress", "CPU stress", OnCloud(("cpu-stress",)), _HEAL, lasts_s=5),
    Fault("full-disk", "disk full", OnCloud(("fill-disk",)), _HEAL, lasts_s=5),
    Fault("slow-disk", "disk slow (1 MiB/s)", OnCloud(("slow-disk",)), _HEAL, lasts_s=5),
    Fault("nginx-stop-both", "nginx stopped on both nodes", OnNode("systemctl stop nginx"), _start("nginx"),
          on=("both",)),
    Fault("daemon-kill-both", "health daemon killed on both nodes", _signal("tandem-health", "KILL"),
          _start("tandem-health"), on=("both",), needs="tandem-health"),
    Fault("none", "no fault", OnNode("true"), None, on=("master",), safe=True, lasts_s=10),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One fault on one target."""

    fault: Fault
    target: Target

    @property
    def key(self) -> str:
        return f"{self.fault.name}/{self.target}"

    @property
    def title(self) -> str:
        return self.fault.title if self.target == "both" else f"{self.fault.title} on the {_NAMES[self.target]}"


_NAMES = {"master": "master", "backup": "backup", "data": "node with the databases"}


def choose(names: Sequence[str], targets: Sequence[Target], *, on_localcloud: bool) -> list[Case]:
    """The cases of a drill in the order of the table. Without names, all that are possible; `none` only by its name.

    Raises ValueError for an unknown name, and for a fault that is not safe on a real stack.
    """
    known = {fault.name: fault for fault in FAULTS}
    for name in names:
        if name not in known:
            raise ValueError(f"a fault must be one of {', '.join(known)} (got {name})")
        if not on_localcloud and not known[name].safe:
            safe = ", ".join(fault.name for fault in FAULTS if fault.safe)
            raise ValueError(f"{name} cannot be inflicted on a stack outside localcloud; possible: {safe}")
    chosen = [
        fault
        for fault in FAULTS
        if (fault.name in names if names else fault.name != "none" and (on_localcloud or fault.safe))
    ]
    return [Case(fault, target) for fault in chosen for target in fault.on if not targets or target in targets]
