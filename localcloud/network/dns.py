"""Names inside a VPC: the platform's own two, and NXDOMAIN for the rest, at once.

An answer matters even where there is none to give: without one, cloud-init waits 5 s more (shared/reference/lab.md, 5).
"""

from __future__ import annotations

import contextlib
import socket

from dnslib import QTYPE, RCODE, RR, A, DNSHeader, DNSRecord

from localcloud.network import names

ZONE = {
    "metadata.tencentyun.com": names.METADATA,
    "packages.internal": names.MIRROR,
}


def answer(query: bytes) -> bytes | None:
    """The reply to a DNS query, or None when it is none."""
    try:
        return _reply(query)
    except Exception:  # noqa: BLE001 - dnslib raises many kinds, also late: a name that it reads but does not write
        return None


def _reply(query: bytes) -> bytes | None:
    request = DNSRecord.parse(query)
    if not request.questions or request.header.qr:
        return None
    question = request.q
    reply = DNSRecord(DNSHeader(id=request.header.id, qr=1, aa=1, ra=1, rd=request.header.rd), q=question)
    address = ZONE.get(str(question.qname).rstrip(".").lower())
    if address is None:
        reply.header.rcode = RCODE.NXDOMAIN
    elif question.qtype == QTYPE.A:
        reply.add_answer(RR(question.qname, QTYPE.A, ttl=60, rdata=A(str(address))))
    return bytes(reply.pack())


def serve_datagrams(datagrams: socket.socket) -> None:
    datagrams.settimeout(1)  # closing a socket does not wake the thread that reads it
    while True:
        try:
            query, client = datagrams.recvfrom(4096)
            reply = answer(query)
            if reply is not None:
                datagrams.sendto(reply, client)
        except OSError:
            if datagrams.fileno() < 0:
                return


def serve_streams(streams: socket.socket) -> None:
    """DNS over TCP, one question for each connection: what a resolver falls back to."""
    while True:
        try:
            connection, _ = streams.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            connection.settimeout(2)
            size = int.from_bytes(connection.recv(2), "big")
            reply = answer(connection.recv(size))
            if reply is not None:
                connection.sendall(len(reply).to_bytes(2, "big") + reply)
