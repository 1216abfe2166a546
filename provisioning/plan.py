"""Desired minus facts: a plan, which is a value. Print it, compare it, apply it, test it. Pure.

The order of a plan is the manifest's. A plan without steps means that there is nothing to do.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.desired import (
    Absent,
    Account,
    After,
    Archive,
    Check,
    Committed,
    Database,
    Directory,
    File,
    FileSystem,
    FirstContent,
    Grant,
    Link,
    Package,
    Prepared,
    Query,
    Sysctl,
    Thing,
    Unit,
    User,
)
from provisioning.facts import Facts, text_sha256

_SYSTEMD_FILES = "/etc/systemd/system/"
_SCHEMA_MISSING = ("", "schema loading by tandem")  # the comment of an empty database, of one whose load was cut off


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one machine: which thing, and in words what about it is not as it should be."""

    thing: Prepared | Committed
    why: str  # "is not there", "differs", "has mode 0600, not 0640"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one machine lacks."""

    host: str
    prepare: tuple[Step, ...] = ()  # disturbs nothing: packages, users, directories, archives
    commit: tuple[Step, ...] = ()
    checks: tuple[Check, ...] = ()  # those that see one of the candidates
    afters: tuple[str, ...] = ()  # "reload nginx", in order: what the changes ask for
    pending: tuple[str, ...] = ()  # the same, left over by a run that was cut off
    drained: bool = False  # by a run that was cut off, too

    def __bool__(self) -> bool:
        return bool(self.prepare or self.commit or self.pending or self.drained)

    def restarts(self) -> tuple[str, ...]:
        """Units that running connections will be cut from."""
        words = [after.split(" ", 1) for after in (*self.pending, *self.afters)]
        return tuple(dict.fromkeys(unit for verb, *rest in words if verb == "restart" for unit in rest))


def make_plan(host: str, things: Sequence[Thing], facts: Facts) -> Plan:
    """What to do so that `things` (texts with their secrets) become true on a machine with these facts."""
    prepare = tuple(
        step
        for thing in dict.fromkeys(things)  # two services may ask for the same package
        if isinstance(thing, (Package, User, FileSystem, Directory, Archive)) and (step := _prepare_step(thing, facts))
    )
    # MariaDB that is not up tells nothing about itself: then all of it is planned, and its operations are idempotent.
    changes = [
        step
        for thing in things
        if isinstance(thing, (FirstContent, File, Link, Absent, Sysctl, Database, Account, Grant, Query))
        and (step := _commit_step(thing, facts))
    ]
    afters = tuple(dict.fromkeys(after for step in changes for after in _afters(step.thing)))
    waiting = {after.split(" ", 1)[-1] for after in (*facts.pending, *afters)}
    units = [step for thing in things if isinstance(thing, Unit) and (step := _unit_step(thing, facts, waiting))]
    return Plan(
        host=host,
        prepare=prepare,
        commit=tuple(sorted([*changes, *units], key=lambda step: things.index(step.thing))),
        checks=tuple(
            thing for thing in things if isinstance(thing, Check) and _sees(thing, [step.thing for step in changes])
        ),
        afters=afters,
        pending=facts.pending,
        drained=facts.draining,
    )


def _prepare_step(thing: Package | User | FileSystem | Directory | Archive, facts: Facts) -> Step | None:
    match thing:
        case FileSystem():
            held = facts.disks.get(thing.device, "")
            return None if held == "ext4" else Step(thing, f"holds {held}" if held else "is blank or not there yet")
        case Package():
            return None if thing.name in facts.packages else Step(thing, "is not installed")
        case User():
            return None if thing.name in facts.users else Step(thing, "is not there")
        case Directory():
            fact = facts.paths.get(thing.path)
            if fact is None or fact.kind != "directory":
                return Step(thing, "is not there")
            return _owner_step(thing, facts)
        case Archive():
            return None if thing.path in facts.paths else Step(thing, "is not there")


def _commit_step(
    thing: FirstContent | File | Link | Absent | Sysctl | Database | Account | Grant | Query, facts: Facts
) -> Step | None:
    match thing:
        case FirstContent():
            return None if thing.path in facts.paths else Step(thing, "is not there")
        case File():
            fact = facts.paths.get(thing.path)
            if fact is None:
                return Step(thing, "is not there")
            if fact.kind != "file" or fact.sha256 != text_sha256(thing.text):
                return Step(thing, "differs")
            return _owner_step(thing, facts)
        case Link():
            fact = facts.paths.get(thing.path)
            if fact is None:
                return Step(thing, "is not there")
            return None if fact.target == thing.target else Step(thing, f"points to {fact.target or 'no link'}")
        case Absent():
            return Step(thing, "is there") if thing.path in facts.paths else None
        case Sysctl():
            now, boot = facts.sysctls.get(thing.key, ("", ""))
            if boot != f"{thing.key} = {thing.value}":
                return Step(thing, "is not set at boot")
            return None if now == " ".join(thing.value.split()) else Step(thing, f"is {now}")
        case Database():
            if thing.name not in facts.mariadb.databases:
                return Step(thing, "is not there")
            missing = thing.schema and facts.mariadb.databases[thing.name] in _SCHEMA_MISSING
            return Step(thing, "has no complete schema") if missing else None
        case Account():
            hashed = facts.mariadb.accounts.get(f"{thing.user}@{thing.host}")
            if hashed is None:
                return Step(thing, "is not there")
            return None if hashed.upper() == password_hash(thing.password) else Step(thing, "has another password")
        case Grant():
            rights = facts.mariadb.grants.get(f"{thing.user}@{thing.host}", {}).get(thing.database, ())
            if set(rights) == set(thing.privileges):
                return None
            return Step(thing, f"has {', '.join(rights) or 'no rights'}")
        case Query():
            return None if thing.name in facts.mariadb.met else Step(thing, "is not so")


def _owner_step(thing: File | Directory, facts: Facts) -> Step | None:
    fact = facts.paths[thing.path]
    if (fact.owner, fact.group) != (thing.owner, thing.group):
        return Step(thing, f"belongs to {fact.owner}:{fact.group}, not {thing.owner}:{thing.group}")
    if fact.mode != thing.mode:
        return Step(thing, f"has mode {fact.mode:04o}, not {thing.mode:04o}")
    return None


def _unit_step(thing: Unit, facts: Facts, waiting: set[str]) -> Step | None:
    fact = facts.units.get(thing.name)
    if fact is None or not fact.loaded:
        return Step(thing, "is not there") if thing.enabled or thing.running else None
    if fact.enabled != thing.enabled:
        return Step(thing, "is not enabled" if thing.enabled else "is enabled")
    if fact.active != thing.running:
        return Step(thing, "does not run" if thing.running else "runs")
    if fact.needs_daemon_reload:
        return Step(thing, "has unit files that systemd has not read")
    return Step(thing, "has changed files") if thing.name in waiting else None


def _afters(thing: Thing) -> Iterable[str]:
    path = getattr(thing, "path", "")
    if path.startswith(_SYSTEMD_FILES):
        yield "daemon-reload"
    if isinstance(thing, (File, Link, Absent)):
        yield from (_words(after) for after in thing.after)


def _words(after: After) -> str:
    return f"{after.action} {after.unit}"


def _sees(check: Check, changed: Sequence[Thing]) -> bool:
    directories = tuple(directory.rstrip("/") + "/" for directory in check.directories)
    return any(isinstance(thing, (File, Link, Absent)) and thing.path.startswith(directories) for thing in changed)


def password_hash(password: str) -> str:
    """As mysql_native_password keeps it, so that no password is ever in an SQL statement."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()  # noqa: S324 - MySQL's


# ---- as text -----------------------------------------------------------------------------------------------------


def describe(plan: Plan) -> list[str]:
    """One line for each change, in order; no secret in any."""
    lines = [f"{_name(step.thing)} {step.why}" for step in (*plan.prepare, *plan.commit)]
    return [*lines, *_left_over(plan)]


def _left_over(plan: Plan) -> list[str]:
    lines = [f"{after} was cut off in an earlier run" for after in plan.pending]
    return [*lines, "it is still drained from an earlier hand-over"] if plan.drained else lines


def _name(thing: Thing) -> str:
    match thing:
        case FirstContent() | File() | Link() | Absent() | Directory() | Archive():
            return thing.path
        case FileSystem():
            return f"disk {thing.device}"
        case Account():
            return f"account {thing.user}@{thing.host}"
        case Grant():
            return f"grant of {thing.user}@{thing.host} on {thing.database}"
        case Sysctl():
            return f"sysctl {thing.key}"
        case _:
            return f"{type(thing).__name__.lower()} {thing.name}"


def changed_lines(plan: Plan, facts: Facts, secret_paths: frozenset[str]) -> list[str]:
    """Like `describe`, with the lines of a text that differ; of a file that holds a secret, only that it does."""
    lines: list[str] = []
    for step in (*plan.prepare, *plan.commit):
        lines.append(f"{_name(step.thing)} {step.why}")
        if isinstance(step.thing, File) and step.why == "differs":
            if step.thing.path in secret_paths:
                lines.append("  (holds a secret: not shown)")
                continue
            there = facts.paths[step.thing.path].text
            if there is not None:
                diff = difflib.unified_diff(there.splitlines(), step.thing.text.splitlines(), lineterm="", n=0)
                lines += [f"  {line}" for line in diff if line[:3] not in ("---", "+++") and not line.startswith("@@")]
    return [*lines, *_left_over(plan)]


# ---- as operations for the agent -------------------------------------------------------------------------------


def prepare_operation(plan: Plan) -> dict[str, Any]:
    things = [step.thing for step in plan.prepare]
    return {
        "do": "prepare",
        "packages": [thing.name for thing in things if isinstance(thing, Package)],
        "disks": [thing.device for thing in things if isinstance(thing, FileSystem)],
        "users": [{"name": thing.name, "home": thing.home} for thing in things if isinstance(thing, User)],
        "directories": [_owned(thing) for thing in things if isinstance(thing, Directory)],
    }


def stage_operation(plan: Plan, revision: str) -> dict[str, Any]:
    things = [step.thing for step in plan.commit]
    return {
        "do": "stage",
        "revision": revision,
        "files": [{**_owned(thing), "text": thing.text} for thing in things if isinstance(thing, File)],
        "links": [{"path": thing.path, "target": thing.target} for thing in things if isinstance(thing, Link)],
        "absent": [thing.path for thing in things if isinstance(thing, Absent)],
        "afters": list(plan.afters),
        "checks": [
            {"name": check.name, "command": list(check.command), "directories": list(check.directories)}
            for check in plan.checks
        ],
    }


def commit_operation(plan: Plan) -> dict[str, Any]:
    return {"do": "commit", "actions": [_action(step) for step in plan.commit]}


def _owned(thing: File | Directory) -> dict[str, Any]:
    return {"path": thing.path, "owner": thing.owner, "group": thing.group, "mode": thing.mode}


def _action(step: Step) -> dict[str, Any]:
    match step.thing:
        case FirstContent() as thing:
            return {"kind": "first_content", "path": thing.path, "source": thing.source, "unit": thing.unit}
        case File() as thing:
            return {"kind": "write", **_owned(thing)}
        case Link() as thing:
            return {"kind": "link", "path": thing.path, "target": thing.target}
        case Absent() as thing:
            return {"kind": "remove", "path": thing.path}
        case Sysctl() as thing:
            return {"kind": "sysctl", "key": thing.key, "value": thing.value}
        case Database() as thing:
            return {"kind": "database", "name": thing.name, "schema": thing.schema}
        case Account() as thing:
            hashed = password_hash(thing.password)
            return {"kind": "account", "user": thing.user, "host": thing.host, "password_hash": hashed}
        case Grant() as thing:
            who = {"user": thing.user, "host": thing.host}
            return {"kind": "grant", **who, "database": thing.database, "privileges": list(thing.privileges)}
        case Query() as thing:
            return {"kind": "query", "name": thing.name, "database": thing.database, "statement": thing.statement}
        case Unit() as thing:
            return {"kind": "unit", "name": thing.name, "enabled": thing.enabled, "running": thing.running}
        case _:
            raise TypeError(f"{type(step.thing).__name__} is prepared, not committed")
