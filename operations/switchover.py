"""`tandem switchover`: a planned move of the virtual IPs, confirmed from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from operations.errors import OperationError, UsageError
from provisioning.cloud_calls import CallApi
from provisioning.errors import CloudApiError, ProvisioningError
from provisioning.health.checks import PublicSide
from provisioning.health.public_checks import Address, Service, check_answer
from provisioning.health.results import Level
from provisioning.traffic.havip import check_attached
from provisioning.traffic.node_changes import Group
from provisioning.traffic.planned_switchover import switch_back, switch_over
from provisioning.traffic.switchover import Switchover

DEADLINE_S = 30.0
Send = Callable[[Address, Service], tuple[bool, str]]  # whether the response is right, and what was seen


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def run(
    group: Group,
    public: PublicSide,
    *,
    to: str | None = None,
    back: bool = False,
    call_api: CallApi | None = None,
    send: Send | None = None,
    clock: Clock | None = None,
) -> tuple[Switchover, ...]:
    """Switch over, then send a request through each public IP whose virtual IP has moved.

    With `call_api`, a node that is not attached to the HAVIP is refused. Returns the moves; none if nothing had to
    move. Raises OperationError.
    """
    if back and to is not None:
        raise UsageError("--back cannot be combined with --to: it returns each virtual IP to its preferred node")
    try:
        if call_api is not None:
            with suppress(CloudApiError):  # the confirmation reports it
                check_attached(call_api, group.inventory, to)
        moves = switch_back(group) if back else switch_over(group, to)
    except ProvisioningError as error:
        raise OperationError(str(error)) from None
    if not moves:
        group.report(f"{to} holds all virtual IPs already; nothing was changed" if to else "No virtual IP had to move.")
    for address in _public_addresses(group, public, moves):
        for service in public.services:
            group.report(_confirm(address, service, send or _send, clock or Clock()))
    return moves


def _public_addresses(group: Group, public: PublicSide, moves: Iterable[Switchover]) -> list[Address]:
    """The public IPs of the virtual IPs that moved; both are in the same order."""
    by_address = dict(zip(group.inventory.virtual_ips, public.addresses, strict=True))
    return [by_address[move.address] for move in moves]


def _confirm(address: Address, service: Service, send: Send, clock: Clock) -> str:
    """Send requests until one is answered. Returns what was seen. Raises OperationError."""
    began = clock.now()
    while True:
        right, seen = send(address, service)
        waited_s = clock.now() - began
        if right:
            return f"{service.domain} answers through {address.ip}: {seen}, {waited_s:.1f} s after the switchover"
        if waited_s > DEADLINE_S:
            raise OperationError(
                f"the virtual IP has moved, but {service.domain} does not answer through {address.ip} "
                f"within {DEADLINE_S:.0f} s\n  {seen}\n"
                "  look at: tandem health; `tandem switchover` moves the virtual IP back"
            )
        clock.sleep(0.2)


def find_public_answer(public: PublicSide) -> str:
    """Return what was seen of a domain that does not answer through a public IP; empty if all answer."""
    for address in public.addresses:
        for service in public.services:
            right, seen = _send(address, service)
            if not right:
                return f"{service.domain} through {address.ip}: {seen}"
    return ""


def _send(address: Address, service: Service) -> tuple[bool, str]:
    result = check_answer(address, service)
    return result.level is not Level.FAIL, result.seen
