"""Ethernet frames as a machine may send them, genuine or forged."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

BROADCAST = "ff:ff:ff:ff:ff:ff"


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def arp(
    sender_mac: str,
    sender: object,
    target: object,
    *,
    operation: int = 1,
    ether_source: str = "",
    ether_target: str = BROADCAST,
    hardware: int = 1,
    protocol: int = 0x0800,
) -> bytes:
    head = mac_bytes(ether_target) + mac_bytes(ether_source or sender_mac) + b"\x08\x06"
    kinds = hardware.to_bytes(2, "big") + protocol.to_bytes(2, "big") + b"\x06\x04" + operation.to_bytes(2, "big")
    ends = mac_bytes(sender_mac) + IPv4Address(str(sender)).packed + b"\0" * 6 + IPv4Address(str(target)).packed
    return (head + kinds + ends).ljust(60, b"\0")


def gratuitous(mac: str, address: object, *, operation: int = 1, **extra: Any) -> bytes:
    return arp(mac, address, address, operation=operation, **extra)


def udp(
    source_mac: str,
    target_mac: str,
    source: object,
    target: object,
    *,
    port: int = 7777,
    protocol: int = 17,
    text: bytes = b"boo",
) -> bytes:
    """An Ethernet frame with an IPv4 datagram; a `protocol` other than 17 sends the same bytes with that protocol
    number.
    """
    body = (7000).to_bytes(2, "big") + port.to_bytes(2, "big") + (8 + len(text)).to_bytes(2, "big") + b"\0\0" + text
    head = bytearray(b"\x45\x00" + (20 + len(body)).to_bytes(2, "big") + b"\0\0\0\0" + bytes([64, protocol]) + b"\0\0")
    head += IPv4Address(str(source)).packed + IPv4Address(str(target)).packed
    total = sum(int.from_bytes(head[at : at + 2], "big") for at in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    head[10:12] = (total ^ 0xFFFF).to_bytes(2, "big")
    return mac_bytes(target_mac) + mac_bytes(source_mac) + b"\x08\x00" + bytes(head) + body
