"""Gratuitous ARP announcements of HAVIPs, read from each subnet's bridge after the ARP guard.

The kernel's neighbour entry cannot be used: an ordinary ARP request with the HAVIP as sender changes it too
(measured with Linux 6.18). So this module reads only announcements, and the network sets the entry.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from localcloud.network import names
from localcloud.network.namespaces import Namespaces

_log = logging.getLogger(__name__)

_ETH_P_ARP = 0x0806
_FRAME = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_ARP_FRAME_BYTES = _FRAME.size


@dataclass(frozen=True, slots=True)
class Announcement:
    """An announcement on `subnet_id` that this address is at this MAC."""

    subnet_id: str
    address: IPv4Address
    mac: str


def parse(subnet_id: str, frame: bytes) -> Announcement | None:
    """Parse an Ethernet frame; an announcement has equal sender and target addresses, as request or reply."""
    if len(frame) < _ARP_FRAME_BYTES:
        return None
    _, _, kind, _, _, _, _, _, sender_mac, sender, _, target = _FRAME.unpack_from(frame)
    if kind != _ETH_P_ARP or sender != target or sender == b"\0\0\0\0":
        return None
    return Announcement(subnet_id, IPv4Address(sender), sender_mac.hex(":"))


class AnnouncementWatch:
    """One thread that listens on every subnet's bridge and calls `heard` in the order of arrival."""

    def __init__(self, namespaces: Namespaces, heard: Callable[[Announcement], None]) -> None:
        self._namespaces = namespaces
        self._heard = heard
        self._sockets: dict[str, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = os.pipe()
        self._lock = threading.Lock()
        self._closed = False
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="announcements", daemon=True)
        self._thread.start()

    def keep(self, subnet_ids: frozenset[str]) -> None:
        """Listen on exactly these subnets."""
        for gone in set(self._sockets) - subnet_ids:
            self.forget(gone)
        for subnet_id in subnet_ids - set(self._sockets):
            self.watch(subnet_id)

    def watch(self, subnet_id: str) -> None:
        with self._lock:
            if subnet_id in self._sockets:
                return
            with self._namespaces.inside(subnet_id):
                listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ARP))
                listener.bind((names.BRIDGE, _ETH_P_ARP))
            listener.setblocking(False)
            self._sockets[subnet_id] = listener
            self._selector.register(listener, selectors.EVENT_READ, subnet_id)
        self._wake()

    def forget(self, subnet_id: str) -> None:
        with self._lock:
            listener = self._sockets.pop(subnet_id, None)
            if listener is not None:
                self._selector.unregister(listener)
                listener.close()
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()
        self._thread.join(timeout=2)
        for subnet_id in list(self._sockets):
            self.forget(subnet_id)

    def _wake(self) -> None:
        os.write(self._wake_out, b".")

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._wake_in, 4096)
                    continue
                self._read(key.data)

    def _read(self, subnet_id: str) -> None:
        listener = self._sockets.get(subnet_id)
        if listener is None:
            return
        while True:
            try:
                frame = listener.recv(2048)
            except OSError:  # no more frames, or the socket was closed meanwhile
                return
            announcement = parse(subnet_id, frame)
            if announcement is not None:
                try:
                    self._heard(announcement)
                except Exception:  # noqa: BLE001 - this thread serves all HAVIPs; an error of one must not end it
                    _log.exception("an announcement of %s could not be processed", announcement.address)
