"""Links, addresses, routes and neighbours inside a namespace, by netlink."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Generator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from localcloud.network.namespaces import Namespaces

NUD_PERMANENT = 0x80
_NUD_STATIC = 0x42  # NOARP and REACHABLE: what bridge(8) calls static
_NTF_MASTER = 0x4
_IFF_UP = 0x1
_HTB_ROOT = 0x10000
_IFF_NOARP = 0x80


class Links:
    """Netlink operations in one namespace; created by `links_inside`, and valid only inside that block."""

    def __init__(self, route: IPRoute) -> None:
        self._route: Any = route  # pyroute2 has no type hints

    def names(self) -> dict[str, int]:
        return {link.get("ifname"): link["index"] for link in self._route.get_links()}

    def find(self, name: str) -> int | None:
        found = self._route.link_lookup(ifname=name)
        return found[0] if found else None

    def get(self, name: str) -> int:
        index = self.find(name)
        if index is None:
            raise KeyError(name)
        return index

    def ensure_bridge(self, name: str) -> None:
        if self.find(name) is None:
            # No spanning tree and no delay: a port forwards as soon as it is up.
            self._route.link("add", ifname=name, kind="bridge", br_stp_state=0, br_mcast_snooping=0)
        self.set_up(name)

    def ensure_void(self, name: str) -> None:
        """Create a device that discards all packets (this kernel has no dummy): a bridge without ports or ARP."""
        if self.find(name) is None:
            self._route.link("add", ifname=name, kind="bridge", br_stp_state=0)
        index = self.get(name)
        self._route.link("set", index=index, flags=_IFF_NOARP, change=_IFF_NOARP)
        self.set_up(name)

    def ensure_pair(
        self, name: str, *, peer: str, peer_namespace: Path, mac: str | None = None, peer_mac: str | None = None
    ) -> bool:
        """Create a veth whose peer is in another namespace; return True if it was created now."""
        if self.find(name) is not None:
            return False
        with peer_namespace.open("rb") as peer_handle:
            other: dict[str, object] = {"ifname": peer, "net_ns_fd": peer_handle.fileno()}
            if peer_mac:
                other["address"] = peer_mac
            extra = {"address": mac} if mac else {}
            self._route.link("add", ifname=name, kind="veth", peer=other, **extra)
        return True

    def delete(self, name: str) -> None:
        index = self.find(name)
        if index is not None:
            with _ignoring(errno.ENODEV):
                self._route.link("del", index=index)

    def set_up(self, name: str) -> None:
        self._route.link("set", index=self.get(name), state="up")

    def set_down(self, name: str) -> None:
        self._route.link("set", index=self.get(name), state="down")

    def is_up(self, name: str) -> bool:
        (link,) = self._route.get_links(self.get(name))
        return bool(link["flags"] & _IFF_UP)

    def set_master(self, name: str, bridge: str) -> None:
        self._route.link("set", index=self.get(name), master=self.get(bridge))

    def bind_port(self, name: str, mac: str) -> None:
        """Bind one MAC to this bridge port: it receives only frames to that MAC, which need not be learned."""
        index = self.get(name)
        self._route.brport("set", index=index, unicast_flood=0, learning=0)
        self._route.fdb("add", ifindex=index, lladdr=mac, state=_NUD_STATIC, flags=_NTF_MASTER)

    def set_mac(self, name: str, mac: str) -> None:
        self._route.link("set", index=self.get(name), address=mac)

    def add_address(self, name: str, address: IPv4Address, prefix: int) -> None:
        with _ignoring(errno.EEXIST):
            self._route.addr("add", index=self.get(name), address=str(address), prefixlen=prefix)

    def addresses(self, name: str) -> set[tuple[str, int]]:
        index = self.get(name)
        return {
            (entry.get("local") or entry.get("address"), entry["prefixlen"])
            for entry in self._route.get_addr(family=2, index=index)
        }

    def flush_addresses(self, name: str) -> None:
        self._route.flush_addr(index=self.get(name), family=2)

    def routes(self, name: str) -> set[str]:
        """List the destinations of the main table's routes through `name`, as CIDR."""
        index = self.get(name)
        return {
            f"{route.get('dst')}/{route['dst_len']}"
            for route in self._route.get_routes(family=2, table=254, oif=index)
            if route.get("dst")
        }

    def add_route(
        self,
        destination: IPv4Network,
        *,
        name: str,
        gateway: IPv4Address | None = None,
        source: IPv4Address | None = None,
        onlink: bool = False,
        metric: int | None = None,
    ) -> None:
        request: dict[str, object] = {"dst": str(destination), "oif": self.get(name)}
        if gateway is not None:
            request["gateway"] = str(gateway)
        else:
            request["scope"] = 253  # link
        if source is not None:
            request["prefsrc"] = str(source)
        if onlink:
            request["flags"] = 4
        if metric is not None:
            request["priority"] = metric
        self._route.route("replace", **request)

    def delete_route(self, destination: IPv4Network, *, name: str) -> None:
        with _ignoring(errno.ESRCH):
            self._route.route("del", dst=str(destination), oif=self.get(name))

    def set_classes(self, name: str, classes: dict[int, int]) -> None:
        """Configure HTB on a device: class -> Mbit/s. Packets without a class are not limited."""
        index = self.get(name)
        present = {
            message["handle"]
            for message in self._route.get_classes(index)
            if message.get("TCA_KIND") == "htb" and message["handle"] != _HTB_ROOT
        }
        if not classes and not present:
            return
        if not any(message.get("TCA_KIND") == "htb" for message in self._route.get_qdiscs(index)):
            self._route.tc("add", "htb", index, _HTB_ROOT, default=0)
        for handle in present - set(classes):
            self._route.tc("del-class", index=index, handle=handle, parent=_HTB_ROOT)
        for handle, mbps in classes.items():
            verb = "change-class" if handle in present else "add-class"
            bytes_per_s = mbps * 125_000
            # Burst: 20 ms of the rate, so that traffic is smooth and still reaches the rate.
            burst = max(bytes_per_s // 50, 16_000)
            self._route.tc(verb, "htb", index, handle, parent=_HTB_ROOT, rate=bytes_per_s, burst=burst, cburst=burst)

    def set_neighbour(self, name: str, address: IPv4Address, mac: str) -> None:
        """Set a permanent neighbour entry, which ARP from the network cannot change."""
        self._route.neigh(
            "replace", dst=str(address), lladdr=mac, ifindex=self.get(name), state=NUD_PERMANENT, family=2
        )

    def permanent_neighbours(self, name: str) -> set[str]:
        index = self.get(name)
        return {
            entry.get("dst")
            for entry in self._route.get_neighbours(family=2, ifindex=index)
            if entry["state"] & NUD_PERMANENT
        }

    def delete_neighbour(self, name: str, address: IPv4Address) -> None:
        with _ignoring(errno.ENOENT):
            self._route.neigh("del", dst=str(address), ifindex=self.get(name), family=2)


@contextlib.contextmanager
def links_inside(namespaces: Namespaces, what: str) -> Generator[Links]:
    """Open netlink in a namespace.

    A socket stays in the namespace where it was created, so the block runs outside it.
    """
    with namespaces.inside(what):
        route = IPRoute()
    try:
        yield Links(route)
    finally:
        route.close()


def set_sysctls(namespaces: Namespaces, what: str, values: dict[str, str | int]) -> None:
    """Set sysctls of the current network namespace, e.g. {"net.ipv4.ip_forward": 1}. Missing ones are skipped."""
    with namespaces.inside(what):
        for key, value in values.items():
            path = Path("/proc/sys") / key.replace(".", "/")
            if path.exists():
                path.write_text(str(value))


@contextlib.contextmanager
def _ignoring(*numbers: int) -> Generator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code not in numbers:
            raise
