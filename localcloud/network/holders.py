"""The holder of each HAVIP: the instance that announced it last. The router's neighbour entry follows."""

from __future__ import annotations

import logging
import threading
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
class _HavipLocation:
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

    An announcement by the current holder changes nothing and is not reported.
    """

    def __init__(self, network: Network, report: Report, takeover_delay_s: float = 0.0) -> None:
        self._network = network
        self._report = report
        self.takeover_delay_s = takeover_delay_s
        self._lock = threading.RLock()
        self._locations: dict[tuple[str, IPv4Address], _HavipLocation] = {}
        self._holder_by_havip: dict[str, str] = {}  # instance IDs
        self._pending: dict[str, _Pending] = {}

    def follow(self, plan: NetworkPlan) -> None:
        """Adopt new HAVIPs from the plan; remove holders that are no longer allowed to hold one."""
        with self._lock:
            self._locations = {
                (subnet.subnet_id, havip.address): _HavipLocation(vpc, subnet, havip)
                for vpc in plan.vpcs
                for subnet in vpc.subnets
                for havip in subnet.virtual_addresses
            }
            present = {location.havip.havip_id for location in self._locations.values()}
            for removed in set(self._holder_by_havip) - present:
                del self._holder_by_havip[removed]
            for location in self._locations.values():
                havip_id, candidates = location.havip.havip_id, location.candidates()
                if havip_id not in self._holder_by_havip:
                    if location.havip.holder in candidates:
                        self._holder_by_havip[havip_id] = location.havip.holder
                elif self._holder_by_havip[havip_id] not in candidates:
                    # After it is attached again, its next announcement must count as a new one.
                    del self._holder_by_havip[havip_id]
                    self._network.set_holder(location.vpc, location.subnet, location.havip.address, names.UNCLAIMED_MAC)
            if self.takeover_delay_s > 0:
                self._guard()

    def holder(self, havip_id: str) -> str | None:
        with self._lock:
            return self._holder_by_havip.get(havip_id)

    def set_delay(self, seconds: float) -> None:
        """Set the delay between an announcement and its effect, for announcements from now on."""
        with self._lock:
            self.takeover_delay_s = seconds
            self._guard()

    def on_announcement(self, announcement: Announcement) -> None:
        key = (announcement.subnet_id, announcement.address)
        with self._lock:
            location = self._locations.get(key)
            if location is None:
                return  # an instance announced its own address
            sender = next((each for each in location.subnet.interfaces if each.mac == announcement.mac), None)
            if sender is None or not location.may_hold(sender):
                return
            havip_id = location.havip.havip_id
            waiting = self._pending.get(havip_id)
            if waiting is not None and waiting.instance_id == sender.instance_id and self.takeover_delay_s > 0:
                return  # keepalived repeats announcements every few seconds: the delay counts from the first
            if waiting is not None:
                self._pending.pop(havip_id).timer.cancel()
            if self._holder_by_havip.get(havip_id) == sender.instance_id:
                return
            if self.takeover_delay_s > 0:
                timer = threading.Timer(self.takeover_delay_s, self._complete, (key, havip_id, sender.instance_id))
                timer.daemon = True
                self._pending[havip_id] = _Pending(sender.instance_id, announcement.mac, timer)
                timer.start()
                return
        self._move(location, sender.instance_id, announcement.mac)

    def _complete(self, key: tuple[str, IPv4Address], havip_id: str, instance_id: str) -> None:
        """Complete a delayed takeover, unless another instance has announced the HAVIP or the plan has changed."""
        with self._lock:
            pending = self._pending.get(havip_id)
            if pending is None or pending.timer is not threading.current_thread():
                return
            del self._pending[havip_id]
            location = self._locations.get(key)
            if location is None or location.havip.havip_id != havip_id or instance_id not in location.candidates():
                return
        self._move(location, instance_id, pending.mac)

    def _guard(self) -> None:
        """With a delay, the subnet's instances must not learn the new holder before the router does."""
        if self.takeover_delay_s <= 0:
            self._network.guard_holders(None)
            return
        self._network.guard_holders(
            {
                location.havip.havip_id: self._holder_by_havip.get(location.havip.havip_id)
                for location in self._locations.values()
            }
        )

    def _move(self, location: _HavipLocation, instance_id: str, mac: str) -> None:
        with self._lock:
            # Redirect the packets first: the API must not report a holder that does not receive traffic yet.
            self._network.set_holder(location.vpc, location.subnet, location.havip.address, mac)
            self._holder_by_havip[location.havip.havip_id] = instance_id
            if self.takeover_delay_s > 0:
                self._guard()
                self._network.announce(location.subnet, location.havip.address, mac)
        _log.info("HAVIP %s is now held by %s", location.havip.address, instance_id)
        self._report(location.vpc.vpc_id, location.havip.address, instance_id)
