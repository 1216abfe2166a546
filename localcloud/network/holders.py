"""The holder of each HAVIP: the instance that announced it last. The router's neighbour entry follows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from localcloud.infrastructure import Interface, NetworkPlan, Subnet, VirtualAddress, Vpc
from localcloud.network import names
from localcloud.network.announcements import Announcement
from localcloud.network.network import Network

_log = logging.getLogger(__name__)

Report = Callable[[str, IPv4Address, str], None]


@dataclass(frozen=True, slots=True)
class _Place:
    vpc: Vpc
    subnet: Subnet
    havip: VirtualAddress

    def may_hold(self, interface: Interface) -> bool:
        return interface.interface_id in self.havip.announcers

    def candidates(self) -> set[str]:
        """Instances that may hold the HAVIP."""
        return {interface.instance_id for interface in self.subnet.interfaces if self.may_hold(interface)}


@dataclass(frozen=True, slots=True)
class _Pending:
    """The next holder of a HAVIP, when its delay is over."""

    instance_id: str
    mac: str
    timer: threading.Timer


class Holders:
    """Tracks the holder of every HAVIP; calls `report(vpc_id, address, instance_id)` at each change, after the delay.

    An announcement by the present holder changes nothing and is not reported.
    """

    def __init__(self, network: Network, report: Report, takeover_delay_s: float = 0.0) -> None:
        self._network = network
        self._report = report
        self.takeover_delay_s = takeover_delay_s
        self._lock = threading.RLock()
        self._places: dict[tuple[str, IPv4Address], _Place] = {}
        self._held: dict[str, str] = {}  # havip -> instance
        self._moved_at: dict[str, float] = {}
        self._pending: dict[str, _Pending] = {}

    def follow(self, plan: NetworkPlan) -> None:
        """Adopt new HAVIPs from the plan; remove holders that are no longer allowed to hold one."""
        with self._lock:
            self._places = {
                (subnet.subnet_id, havip.address): _Place(vpc, subnet, havip)
                for vpc in plan.vpcs
                for subnet in vpc.subnets
                for havip in subnet.virtual_addresses
            }
            present = {place.havip.havip_id for place in self._places.values()}
            for removed in set(self._held) - present:
                del self._held[removed]
            for place in self._places.values():
                havip_id, candidates = place.havip.havip_id, place.candidates()
                if havip_id not in self._held:
                    if place.havip.holder in candidates:
                        self._held[havip_id] = place.havip.holder
                elif self._held[havip_id] not in candidates:
                    # After it is attached again, its next announcement must count as a new one.
                    del self._held[havip_id]
                    self._network.set_holder(place.vpc, place.subnet, place.havip.address, names.UNCLAIMED_MAC)
            if self.takeover_delay_s > 0:
                self._guard()

    def holder(self, havip_id: str) -> str | None:
        with self._lock:
            return self._held.get(havip_id)

    def moved_at(self, havip_id: str) -> float:
        """Time of the last change of holder, by time.monotonic(). Raises KeyError if it never changed."""
        with self._lock:
            return self._moved_at[havip_id]

    def set_delay(self, seconds: float) -> None:
        """Set the delay between an announcement and its effect, for announcements from now on."""
        with self._lock:
            self.takeover_delay_s = seconds
            self._guard()

    def heard(self, announcement: Announcement) -> None:
        key = (announcement.subnet_id, announcement.address)
        with self._lock:
            place = self._places.get(key)
            if place is None:
                return  # an instance announced its own address
            sender = next((each for each in place.subnet.interfaces if each.mac == announcement.mac), None)
            if sender is None or not place.may_hold(sender):
                return
            havip_id = place.havip.havip_id
            waiting = self._pending.get(havip_id)
            if waiting is not None and waiting.instance_id == sender.instance_id and self.takeover_delay_s > 0:
                return  # keepalived repeats announcements every few seconds: the delay counts from the first
            if waiting is not None:
                self._pending.pop(havip_id).timer.cancel()
            if self._held.get(havip_id) == sender.instance_id:
                return
            if self.takeover_delay_s > 0:
                timer = threading.Timer(self.takeover_delay_s, self._complete, (key, havip_id, sender.instance_id))
                timer.daemon = True
                self._pending[havip_id] = _Pending(sender.instance_id, announcement.mac, timer)
                timer.start()
                return
        self._move(place, sender.instance_id, announcement.mac)

    def _complete(self, key: tuple[str, IPv4Address], havip_id: str, instance_id: str) -> None:
        """Complete a delayed take-over, unless another instance has announced the HAVIP or the plan has changed."""
        with self._lock:
            pending = self._pending.get(havip_id)
            if pending is None or pending.timer is not threading.current_thread():
                return
            del self._pending[havip_id]
            place = self._places.get(key)
            if place is None or place.havip.havip_id != havip_id or instance_id not in place.candidates():
                return
        self._move(place, instance_id, pending.mac)

    def _guard(self) -> None:
        """With a delay, the subnet's instances must not learn the new holder before the router does."""
        if self.takeover_delay_s <= 0:
            self._network.guard_holders(None)
            return
        self._network.guard_holders(
            {place.havip.havip_id: self._held.get(place.havip.havip_id) for place in self._places.values()}
        )

    def _move(self, place: _Place, instance_id: str, mac: str) -> None:
        with self._lock:
            # Redirect the packets first: the API must not report a holder that does not receive traffic yet.
            self._network.set_holder(place.vpc, place.subnet, place.havip.address, mac)
            self._held[place.havip.havip_id] = instance_id
            self._moved_at[place.havip.havip_id] = time.monotonic()
            if self.takeover_delay_s > 0:
                self._guard()
                self._network.announce(place.subnet, place.havip.address, mac)
        _log.info("HAVIP %s is now held by %s", place.havip.address, instance_id)
        self._report(place.vpc.vpc_id, place.havip.address, instance_id)
