"""Bring the machines of one group to their manifests, while the group goes on serving.

Facts of all machines at once; nothing to do anywhere = done, after one call to each. Otherwise: archives, the lock
on every machine, preparation, then every candidate staged and validated on all machines; only when all have accepted
is anything in use touched. Then one machine after the other, the one that holds the virtual IP last and after
handing it over; all at once only when nothing serves yet. A gate after each; a failed gate stops the rollout.

Killed anywhere, the next run converges: facts are asked anew, what was left pending is on the machine's disk, and a
lock whose owner is dead is taken over.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets as random_secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from provisioning import hand_over as handing_over
from provisioning import owner as owners
from provisioning.desired import Account, Archive, Database, File, FileSystem, Gate, Query, Unit
from provisioning.errors import CandidateError, GateError, ProvisioningError, UnreachableError
from provisioning.facts import Facts, question
from provisioning.manifest import Manifest
from provisioning.placeholders import find_names, substitute
from provisioning.plan import (
    Plan,
    changed_lines,
    commit_operation,
    describe,
    make_plan,
    prepare_operation,
    stage_operation,
)
from provisioning.services import base
from provisioning.transport import MachineLockedError, connector

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from provisioning.desired import Thing
    from provisioning.inventory import Host, Inventory
    from provisioning.transport import Connection

LOCK_TTL_S = 180
REPORTED_LINES = 8  # of a machine's plan; a new machine's has a hundred
UPSTREAM_DRAIN_S = 1.0  # authz's audit records are sent within 0.3 s (iam.md, 1)
PREPARE_DEADLINE_S = 1200.0
ARCHIVE_DEADLINE_S = 1800.0

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RolloutResult:
    revision: str  # of everything on all machines, secrets included: the same text and values, the same revision
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])  # by host, in words


@dataclass(frozen=True, slots=True)
class _Machine:
    """One machine during one rollout."""

    host: Host
    connection: Connection
    things: tuple[Thing, ...]  # with their secrets
    facts: Facts
    plan: Plan


def roll_out(
    inventory: Inventory,
    manifests: Mapping[str, Manifest],
    secrets: Mapping[str, str],
    report: Callable[[str], None] = lambda _line: None,
    *,
    connect: Callable[[Host], Connection] | None = None,
) -> RolloutResult:
    """Make the manifests true. A second call changes nothing. Raises ProvisioningError."""
    inventory, manifests = _with_bastion(inventory, manifests)
    desired = _with_secrets(inventory, manifests, secrets)
    revision = revision_of(desired)
    with _connected(inventory, connect or connector(inventory)) as connections:
        machines = _look(inventory, connections, desired)
        if not any(machine.plan for machine in machines):
            report("nothing to do")
            return RolloutResult(revision)
        for machine in machines:
            _send_archives(machine, report)
        with _locked(machines) as token:
            machines = _look(inventory, connections, desired)
            _report_plans(machines, report)
            if any(machine.plan.prepare for machine in machines):
                _at_once(machines, lambda machine: _prepare(machine, token))
                machines = _look(inventory, connections, desired)
            _stage(machines, revision, token)
            report("candidates accepted on every machine")
            return RolloutResult(revision, _commit_all(inventory, machines, token, report))


def drift(
    inventory: Inventory,
    manifests: Mapping[str, Manifest],
    secrets: Mapping[str, str],
    *,
    connect: Callable[[Host], Connection] | None = None,
) -> dict[str, list[str]]:
    """What on each machine is not as its manifest says; machines without drift are left out.

    A machine that is gone or unreachable is drift too, never an error: it is what a refresh is there to find.
    """
    inventory, manifests = _with_bastion(inventory, manifests)
    desired = _with_secrets(inventory, manifests, secrets)
    secret_paths = {
        name: frozenset(path for path, text in manifest.files().items() if find_names(text))
        for name, manifest in manifests.items()
    }
    to = connect or connector(inventory, deadline_s=5)

    def look(host: Host) -> list[str]:
        try:
            connection = to(host)
        except UnreachableError as error:
            return [f"unreachable: {error.message}"]
        try:
            things = desired[host.name]
            asked = question(things, inventory.virtual_ips, with_texts=True)
            facts = Facts.from_answer(connection.call([asked])[0])
            return changed_lines(make_plan(host.name, things, facts), facts, secret_paths[host.name])
        except ProvisioningError as error:
            return [f"cannot be looked at: {error.message}"]
        finally:
            connection.close()

    found = _at_once(inventory.hosts, look)
    return {host.name: lines for host, lines in zip(inventory.hosts, found, strict=True) if lines}


def hand_over(
    inventory: Inventory, host_name: str, *, connect: Callable[[Host], Connection] | None = None
) -> handing_over.HandOver:
    """Drain a machine and give its virtual IP to a peer, for good: the machine is about to stop.

    Raises HandOverError unless a peer serves; then nothing was changed.
    """
    return handing_over.hand_over(inventory, host_name, connect or connector(inventory, deadline_s=10))


def retire(
    inventory: Inventory, host_name: str, *, connect: Callable[[Host], Connection] | None = None
) -> handing_over.HandOver:
    """Hand over and stop everything on a machine that is about to be removed. Raises HandOverError as `hand_over`."""
    return handing_over.retire(inventory, host_name, connect or connector(inventory, deadline_s=10))


def revision_of(desired: Mapping[str, Sequence[Thing]]) -> str:
    data = {
        name: [[type(thing).__name__, dataclasses.asdict(thing)] for thing in things]
        for name, things in desired.items()
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _with_bastion(inventory: Inventory, manifests: Mapping[str, Manifest]) -> tuple[Inventory, Mapping[str, Manifest]]:
    """A bastion serves nothing; but its temporary host key has to go like that of any machine."""
    bastion = inventory.bastion
    if bastion is None:
        return inventory, manifests
    alone = Manifest(bastion.name, tuple(base.without_temporary_key()))
    hosts = (*inventory.hosts, dataclasses.replace(bastion, holder=False))
    return dataclasses.replace(inventory, hosts=hosts), {**manifests, bastion.name: alone}


def _with_secrets(
    inventory: Inventory, manifests: Mapping[str, Manifest], secrets: Mapping[str, str]
) -> dict[str, tuple[Thing, ...]]:
    missing = [host.name for host in inventory.hosts if host.name not in manifests]
    if missing:
        raise ProvisioningError(f"no manifest was given for {', '.join(missing)}", look_at="components/rollout.py")
    return {
        host.name: tuple(_with_secret(thing, secrets, host.name) for thing in manifests[host.name].things)
        for host in inventory.hosts
    }


def _with_secret(thing: Thing, secrets: Mapping[str, str], host: str) -> Thing:
    match thing:
        case File():
            return dataclasses.replace(thing, text=substitute(thing.text, secrets, f"{host}: {thing.path}"))
        case FileSystem():
            return dataclasses.replace(thing, device=substitute(thing.device, secrets, f"{host}: the data disk"))
        case Account():
            password = substitute(thing.password, secrets, f"{host}: account {thing.user}")
            return dataclasses.replace(thing, password=password)
        case Query():
            return dataclasses.replace(
                thing,
                statement=substitute(thing.statement, secrets, f"{host}: {thing.name}"),
                unless=substitute(thing.unless, secrets, f"{host}: {thing.name}"),
            )
        case _:
            return thing


# ---- reaching machines -----------------------------------------------------------------------------------------


def _at_once(of: Sequence[S], do: Callable[[S], T]) -> list[T]:
    """The same for all at once, results in order. Every one is waited for; then the first error is raised."""
    with ThreadPoolExecutor(max_workers=max(1, len(of))) as pool:
        futures = [pool.submit(do, one) for one in of]
    return [future.result() for future in futures]


@contextmanager
def _connected(inventory: Inventory, connect: Callable[[Host], Connection]) -> Generator[dict[str, Connection]]:
    connections: dict[str, Connection] = {}

    def to(host: Host) -> None:
        connections[host.name] = connect(host)

    try:
        _at_once(inventory.hosts, to)
        yield connections
    finally:
        for connection in connections.values():
            connection.close()


def _look(
    inventory: Inventory,
    connections: Mapping[str, Connection],
    desired: Mapping[str, tuple[Thing, ...]],
) -> list[_Machine]:
    def look(host: Host) -> _Machine:
        things = desired[host.name]
        facts = Facts.from_answer(connections[host.name].call([question(things, inventory.virtual_ips)])[0])
        return _Machine(host, connections[host.name], things, facts, make_plan(host.name, things, facts))

    return _at_once(inventory.hosts, look)


def _send_archives(machine: _Machine, report: Callable[[str], None]) -> None:
    """Before the lock is taken: a large file takes its time, and its path names its content."""
    for step in machine.plan.prepare:
        if isinstance(step.thing, Archive):
            source = Path(step.thing.source)
            report(f"{machine.host.name}: sending {source.name}")
            size = source.stat().st_size
            operation = {"do": "receive", "path": step.thing.path, "sha256": step.thing.sha256, "size": size}
            machine.connection.call([operation], archive=source, deadline_s=ARCHIVE_DEADLINE_S)


# ---- the lock --------------------------------------------------------------------------------------------------


@contextmanager
def _locked(machines: Sequence[_Machine]) -> Generator[str]:
    """The lock on every machine, taken in the order of their names so that two rollouts cannot each hold half."""
    token = random_secrets.token_hex(8)
    taken: list[_Machine] = []
    over = threading.Event()
    # One machine may install packages for longer than another's lock lasts: all are renewed beside the work.
    renewer = threading.Thread(target=_renew, args=(taken, token, over), daemon=True)
    try:
        for machine in sorted(machines, key=lambda machine: machine.host.name):
            _lock(machine, token)
            taken.append(machine)
        renewer.start()
        yield token
    finally:
        over.set()
        if renewer.ident is not None:
            renewer.join(10)
        _at_once(taken, lambda machine: _unlock(machine, token))


def _lock(machine: _Machine, token: str) -> None:
    operation = {"do": "lock", "owner": owners.this_process(), "ttl_s": LOCK_TTL_S}
    try:
        machine.connection.call([operation], token=token)
    except MachineLockedError as error:
        holder = error.holder
        if holder is None or not owners.is_dead(holder["owner"]):
            raise
        machine.connection.call([{**operation, "take_from": holder["token"]}], token=token)


def _renew(machines: Sequence[_Machine], token: str, over: threading.Event) -> None:
    while not over.wait(LOCK_TTL_S / 3):
        for machine in machines:
            with suppress(ProvisioningError):  # the next operation there finds out and says so
                machine.connection.call([{"do": "renew"}], token=token, deadline_s=20)


def _unlock(machine: _Machine, token: str) -> None:
    with suppress(ProvisioningError):  # it expires; the error that brought us here, if any, says more
        machine.connection.call([{"do": "unlock"}], token=token, deadline_s=10)


# ---- changing --------------------------------------------------------------------------------------------------


def _prepare(machine: _Machine, token: str) -> None:
    if machine.plan.prepare:
        machine.connection.call([prepare_operation(machine.plan)], token=token, deadline_s=PREPARE_DEADLINE_S)


def _stage(machines: Sequence[_Machine], revision: str, token: str) -> None:
    """Every machine's candidates, judged there. One refusal anywhere, and nothing has changed anywhere."""

    def stage(machine: _Machine) -> ProvisioningError | None:
        if not machine.plan.commit:
            return None
        try:
            machine.connection.call([stage_operation(machine.plan, revision)], token=token)
        except ProvisioningError as error:
            return error
        return None

    refusals = [(machine, error) for machine, error in zip(machines, _at_once(machines, stage), strict=True) if error]
    if not refusals:
        return
    machine, error = min(refusals, key=lambda refusal: not isinstance(refusal[1], CandidateError))
    if not isinstance(error, CandidateError):
        error.message += "; nothing was changed on any machine"
        raise error
    others = "".join(f"\nalso {other.host.name}: {also.message}" for other, also in refusals if also is not error)
    look_at = next(
        (check.look_at for check in machine.plan.checks if check.look_at and f": {check.name} " in error.message),
        error.look_at,
    )
    raise CandidateError(
        f"{error.message}; nothing was changed on any machine", seen=error.seen + others, look_at=look_at
    ) from None


def _commit_all(
    inventory: Inventory, machines: Sequence[_Machine], token: str, report: Callable[[str], None]
) -> dict[str, tuple[str, ...]]:
    serving = any(machine.facts.addresses or _runs(machine, "keepalived") for machine in machines)
    if not serving:
        done = _at_once(machines, lambda machine: _commit(machine, token))
        _report_done(machines, done, report)
        for machine in machines:
            if machine.plan.drained:
                handing_over.end_drain(machine.connection)
        return {machine.host.name: words for machine, words in zip(machines, done, strict=True) if words}
    changed: dict[str, tuple[str, ...]] = {}
    reached: list[str] = []
    holding = {machine.host.name for machine in machines if machine.facts.addresses}
    for machine in sorted(machines, key=_turn):
        if not machine.plan:
            continue
        try:
            words = _commit_one(inventory, machine, machines, token, report, holding=holding)
        except GateError as error:
            raise GateError(
                f"{error.message}; the rollout stopped there"
                + (f" ({', '.join(reached)} changed before it)" if reached else ""),
                seen=error.seen,
                look_at=error.look_at,
            ) from None
        reached.append(machine.host.name)
        changed[machine.host.name] = words
        _report_done([machine], [words], report)
    return changed


def _turn(machine: _Machine) -> tuple[bool, bool, bool]:
    """The one that holds the address goes last, when the others already serve what it is about to serve.

    But databases that are not there yet come first, since the others' services wait for them; and whatever is stopped
    for good stops when nobody uses it any more.
    """
    things = [step.thing for step in machine.plan.commit]
    brings = any(isinstance(thing, Database) for thing in things)
    stops = any(isinstance(thing, Unit) and not thing.running for thing in things)
    return not brings, stops, bool(machine.facts.addresses)


def _runs(machine: _Machine, unit: str) -> bool:
    fact = machine.facts.units.get(unit)
    return fact is not None and fact.active


def _commit_one(
    inventory: Inventory,
    machine: _Machine,
    machines: Sequence[_Machine],
    token: str,
    report: Callable[[str], None],
    *,
    holding: set[str],
) -> tuple[str, ...]:
    """One machine while the others serve: without the address, and out of the upstreams where it restarts services.

    `holding` are the machines that hold an address by now; whoever takes one over is added.
    """
    peers = [peer.connection for peer in machines if peer is not machine and peer.host.holder]
    disturbs = any(isinstance(step.thing, Unit) for step in machine.plan.commit) or machine.plan.pending
    handed = machine.host.name in holding and peers and disturbs
    if handed:
        report(f"{machine.host.name}: handing {', '.join(machine.facts.addresses or inventory.virtual_ips)} over")
        holding.add(handing_over.give_away(machine.connection, peers, inventory.virtual_ips).to)
    try:
        with _out_of_upstreams(machine, machines, report):
            return _commit(machine, token)
    finally:
        if handed or machine.plan.drained:
            handing_over.end_drain(machine.connection)


@contextmanager
def _out_of_upstreams(
    machine: _Machine, machines: Sequence[_Machine], report: Callable[[str], None]
) -> Generator[None]:
    """No nginx sends to the services that this machine is about to restart: they cut what they are answering.

    A machine whose gate fails stays out: the others serve. The next rollout finds the changed upstreams and heals.
    """
    restarts = machine.plan.restarts()
    gates = [thing for thing in machine.things if isinstance(thing, Gate) and thing.name in restarts]
    endpoints = [urlsplit(gate.url).netloc for gate in gates]
    others = [other for other in machines if other is not machine]
    if not (endpoints and others):
        yield
        return
    report(f"{machine.host.name}: out of the upstreams, since {', '.join(gate.name for gate in gates)} will restart")
    leave = {"do": "leave", "endpoints": endpoints, "wait_s": UPSTREAM_DRAIN_S}
    _at_once(machines, lambda one: one.connection.call([leave]))
    yield
    _at_once(machines, lambda one: one.connection.call([{"do": "join"}]))


def _commit(machine: _Machine, token: str) -> tuple[str, ...]:
    """Commit and wait at the gates, in one call."""
    if not machine.plan:
        return ()
    gates = [thing for thing in machine.things if isinstance(thing, Gate)]
    operations = [
        commit_operation(machine.plan),
        *(
            {"do": "gate", "name": gate.name, "url": gate.url, "status": gate.status, "deadline_s": gate.deadline_s}
            for gate in gates
        ),
    ]
    deadline_s = 600.0 + sum(gate.deadline_s for gate in gates)
    return tuple(machine.connection.call(operations, token=token, deadline_s=deadline_s)[0])


def _report_plans(machines: Sequence[_Machine], report: Callable[[str], None]) -> None:
    for machine in machines:
        lines = describe(machine.plan)
        for line in lines[:REPORTED_LINES]:
            report(f"{machine.host.name}: {line}")
        if more := len(lines[REPORTED_LINES:]):
            report(f"{machine.host.name}: ... and {more} more")


def _report_done(machines: Sequence[_Machine], done: Sequence[tuple[str, ...]], report: Callable[[str], None]) -> None:
    for machine, words in zip(machines, done, strict=True):
        report(f"{machine.host.name}: " + (f"{len(words)} changes, gates passed" if words else "as it was"))
