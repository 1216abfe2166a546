"""Takes servers out of use on this node: refuses new connections to them and destroys the open ones.

nginx then uses another server immediately, also for requests that it has sent and for which it is waiting. Only the
given ports of the given addresses are affected. Both steps use netlink directly, so the daemon starts no program:
rejecting in nftables answers new connections and unsent data (measured 0.1 ms); a request whose data was acknowledged
ends only with its socket (SOCK_DESTROY, 10 ms). A kernel without INET_DIAG_DESTROY waits for nginx's readTimeoutS.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

TABLE, SET = "tandem_servers", "out"

_NETLINK_NETFILTER, _NETLINK_SOCK_DIAG = 12, 4
_REQUEST, _ACK, _DUMP, _CREATE = 0x1, 0x4, 0x300, 0x400
_ERROR, _DONE = 0x2, 0x3
_INET = 1  # NFPROTO_INET, the family of the table
_NFTABLES = 10  # NFNL_SUBSYS_NFTABLES
_BATCH_BEGIN, _BATCH_END, _NEW_ELEMENTS, _DELETE_ELEMENTS = 0x10, 0x11, _NFTABLES << 8 | 12, _NFTABLES << 8 | 14
_NESTED = 0x8000
_SOCK_DIAG_BY_FAMILY, _SOCK_DESTROY = 20, 21
# TCP states that carry data or are being opened: all but TIME_WAIT (6), CLOSE (7), LISTEN (10).
_STATES = sum(1 << state for state in (1, 2, 3, 4, 5, 8, 9, 11))
_DIAG_HEADER = struct.Struct("=BBBB")  # family, state, timer, retransmissions
_DIAG_ID = struct.Struct("=HH16s16sIII")  # inet_diag_sockid: ports and addresses are in network byte order
_TIMEOUT_S = 0.5


def set_out(servers: set[tuple[str, int]]) -> None:
    """Refuse connections to these servers and no others. Raises OSError, for example if the table does not exist."""
    flush = _nft(_DELETE_ELEMENTS, _ACK)
    add = _nft(_NEW_ELEMENTS, _ACK | _CREATE, _elements(sorted(servers))) if servers else b""
    batch = struct.pack("=BBH", 0, 0, socket.htons(_NFTABLES))
    message = _message(_BATCH_BEGIN, _REQUEST, batch) + flush + add + _message(_BATCH_END, _REQUEST, batch)
    with _open(_NETLINK_NETFILTER) as netlink:
        netlink.send(message)
        for _ in range(2 if servers else 1):
            _check(netlink.recv(65536))


def destroy_connections(servers: set[tuple[str, int]]) -> int:
    """Destroy the connections of this node to these servers. Returns their number.

    Raises OSError with EOPNOTSUPP if the kernel cannot do it.
    """
    found = [each for port in {port for _, port in servers} for each in _connections_to(port)]
    destroyed = 0
    with _open(_NETLINK_SOCK_DIAG) as netlink:
        for identity in found:
            _, port, _, address, *_ = _DIAG_ID.unpack(identity)
            if (socket.inet_ntoa(address[:4]), socket.ntohs(port)) in servers:
                netlink.send(_message(_SOCK_DESTROY, _REQUEST | _ACK, _diag_request(identity)))
                destroyed += _check(netlink.recv(65536), accept=errno.ENOENT)  # ENOENT: closed in the meantime
    return destroyed


def _connections_to(port: int) -> list[bytes]:
    """The identities of this node's sockets with this remote port."""
    identity = _DIAG_ID.pack(0, socket.htons(port), b"", b"", 0, 0xFFFFFFFF, 0xFFFFFFFF)
    found: list[bytes] = []
    with _open(_NETLINK_SOCK_DIAG) as netlink:
        netlink.send(_message(_SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, _diag_request(identity)))
        while True:
            for kind, payload in _messages(netlink.recv(262144)):
                if kind == _DONE:
                    return found
                if kind == _ERROR:
                    _raise(payload)
                found.append(payload[_DIAG_HEADER.size :][: _DIAG_ID.size])


def _diag_request(identity: bytes) -> bytes:
    return struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _STATES) + identity


def _nft(kind: int, flags: int, attributes: bytes = b"") -> bytes:
    head = struct.pack("=BBH", _INET, 0, 0)
    names = _attribute(1, TABLE.encode() + b"\0") + _attribute(2, SET.encode() + b"\0")
    return _message(kind, _REQUEST | flags, head + names + attributes)


def _elements(servers: list[tuple[str, int]]) -> bytes:
    """NFTA_SET_ELEM_LIST_ELEMENTS with keys of type ipv4_addr . inet_service; each part is padded to 4 bytes."""
    keys = [socket.inet_aton(address) + struct.pack(">HH", port, 0) for address, port in servers]
    return _attribute(3 | _NESTED, b"".join(
        _attribute(1 | _NESTED, _attribute(1 | _NESTED, _attribute(1, key))) for key in keys
    ))  # fmt: skip


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def _message(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", len(payload) + 16, kind, flags, 0, 0) + payload


def _messages(data: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while len(data) >= 16:  # noqa: PLR2004 - the length of a netlink header
        length, kind = struct.unpack_from("=IH", data)
        found.append((kind, data[16:length]))
        data = data[(length + 3) & ~3 :]
    return found


def _check(answer: bytes, *, accept: int = 0) -> bool:
    """Return whether an acknowledgement reports success. Raises OSError for errors other than `accept`."""
    for kind, payload in _messages(answer):
        if kind == _ERROR and (number := -struct.unpack_from("=i", payload)[0]):
            if number == accept:
                return False
            _raise(payload)
    return True


def _raise(payload: bytes) -> None:
    number = -struct.unpack_from("=i", payload)[0]
    raise OSError(number, os.strerror(number))


def _open(protocol: int) -> socket.socket:
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    netlink.settimeout(_TIMEOUT_S)
    netlink.bind((0, 0))
    return netlink
