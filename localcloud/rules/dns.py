"""DNS records of DNSPod. They belong to no region."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, assumed, documented, provider
from localcloud.rules.transaction import Transaction

LINE = "默认"
# The domain that every localcloud has from birth: reserved for documentation (RFC 2606).
BORN_WITH = "example.com"
TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "TXT", "SRV", "CAA")
TTL = (1, 604_800)
PREFERENCES = range(65_536)  # of MX records
NAME_LIMIT = 253
VALUE_LIMIT = 2048
_ERRORS = documented("the SDK's errorcodes.py (dnspod)")

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain(Record):
    """A zone; the record's id is its name."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecord(Record):
    """One record of a zone; the record's id is its number."""

    domain: str
    name: str  # "@" for the zone itself
    type: str
    line: str
    value: str
    ttl: int
    mx: int
    weight: int | None
    enabled: bool
    remark: str
    updated: float

    @property
    def number(self) -> int:
        """Its id as the API writes it."""
        return int(self.id)


class DomainNotFound(Refusal):
    """A domain that a request names is one of the account's."""

    code = "InvalidParameterValue.DomainNotExists"
    template = "The domain `{domain}` does not exist; add it by CreateDomain."
    source = _ERRORS


class DomainInvalid(Refusal):
    """A domain's name is made of labels, and has at least two."""

    code = "InvalidParameter.DomainInvalid"
    template = "The domain `{domain}` is not valid."
    source = _ERRORS


class DomainExists(Refusal):
    """A domain is added once."""

    code = "FailedOperation.DomainExists"
    template = "The domain `{domain}` is already there."
    source = _ERRORS


class RecordNotFound(Refusal):
    """A record that a request names is one of its domain's."""

    code = "InvalidParameter.RecordIdInvalid"
    template = "The record {record_id} does not exist in domain `{domain}`."
    source = provider("this code counts as gone (provider-api.md, retry rules: dnspod)")


class RecordExists(Refusal):
    """A record is not added twice with the same name, type, line and value."""

    code = "InvalidParameter.DomainRecordExist"
    template = "The record `{name}` {type} {value} is already in domain `{domain}`."
    source = _ERRORS


class RecordConflict(Refusal):
    """A CNAME stands alone at its name on its line."""

    code = "InvalidParameter.DomainRecordExist"
    template = "A CNAME can't stand beside another record at `{name}`."
    source = assumed("RFC 1034, 3.6.2; DNSPod's code for it is not on its page")


class RecordTypeInvalid(Refusal):
    """A record's type is A, AAAA, CNAME, MX, NS, TXT, SRV or CAA."""

    code = "InvalidParameter.RecordTypeInvalid"
    template = "The record type `{type}` is not valid."
    source = _ERRORS


class RecordLineInvalid(Refusal):
    """A record's line is the default one."""

    code = "InvalidParameter.RecordLineInvalid"
    template = "The record line `{line}` is not valid: localcloud has `默认` alone."
    source = documented("the SDK's errorcodes.py (dnspod); that there is one line alone: localcloud's own")


class RecordValueInvalid(Refusal):
    """A record's value fits its type."""

    code = "InvalidParameter.RecordValueInvalid"
    template = "The value `{value}` is not valid for a record of type {type}."
    source = _ERRORS


class SubdomainInvalid(Refusal):
    """A record's name is `@`, `*`, or labels with a dot between them."""

    code = "InvalidParameter.SubdomainInvalid"
    template = "The subdomain `{name}` is not valid."
    source = _ERRORS


class TtlOutOfRange(Refusal):
    """A TTL is 1 to 604800 seconds."""

    code = "LimitExceeded.RecordTtlLimit"
    template = "The TTL {ttl} is not in [1, 604800]."
    source = documented("the page of CreateRecord: TTL; errorcodes.py")


class MxInvalid(Refusal):
    """An MX record's preference is 0 to 65535."""

    code = "InvalidParameter.MxInvalid"
    template = "The MX preference {mx} is not in [0, 65535]."
    source = documented("the page of CreateRecord: MX; errorcodes.py")


def get_domain(tx: Transaction, name: str) -> Domain:
    """The domain. Raises DomainNotFound. Every localcloud is born with `example.com`."""
    found = tx.find(Domain, name.lower())
    if found is None and name.lower() == BORN_WITH and not tx.fact("born domain gone"):
        return _add(tx, BORN_WITH)
    if found is None:
        raise DomainNotFound(domain=name)
    return found


def domains(tx: Transaction) -> list[Domain]:
    """All domains."""
    if not tx.fact("born domain gone"):
        get_domain(tx, BORN_WITH)
    return tx.all(Domain)


def _add(tx: Transaction, name: str) -> Domain:
    return tx.put(Domain(id=name, region="", created=tx.now, number=tx.count("domain")))


def add_domain(tx: Transaction, name: str) -> Domain:
    """CreateDomain."""
    labels = name.lower().split(".")
    if "." not in name or len(name) > NAME_LIMIT or not all(_LABEL.fullmatch(label) for label in labels):
        raise DomainInvalid(domain=name)
    if any(one.id == name.lower() for one in domains(tx)):
        raise DomainExists(domain=name)
    return _add(tx, name.lower())


def delete_domain(tx: Transaction, name: str) -> None:
    """DeleteDomain: its records go with it."""
    found = get_domain(tx, name)
    for record in of_domain(tx, found.id):
        tx.delete(record)
    if found.id == BORN_WITH:
        tx.facts["born domain gone"] = "yes"
    tx.delete(found)


def of_domain(tx: Transaction, domain: str) -> list[DnsRecord]:
    """A domain's records."""
    return [record for record in tx.all(DnsRecord) if record.domain == domain]


def get(tx: Transaction, domain: str, number: int) -> DnsRecord:
    """The record. Raises DomainNotFound or RecordNotFound."""
    zone = get_domain(tx, domain)
    found = tx.find(DnsRecord, str(number))
    if found is None or found.domain != zone.id:
        raise RecordNotFound(record_id=number, domain=domain)
    return found


def _is_name(value: str) -> bool:
    return all(_LABEL.fullmatch(label) for label in value.removesuffix(".").split("."))


def _parses(value: str, parse: Callable[[str], object]) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _check_value(record: DnsRecord) -> None:
    match record.type:
        case "A":
            fits = _parses(record.value, IPv4Address)
        case "AAAA":
            fits = _parses(record.value, IPv6Address)
        case "CNAME" | "MX" | "NS":
            fits = _is_name(record.value)
        case _:
            fits = 0 < len(record.value) <= VALUE_LIMIT
    if not fits:
        raise RecordValueInvalid(value=record.value, type=record.type)


def _check(tx: Transaction, record: DnsRecord) -> None:
    if record.type not in TYPES:
        raise RecordTypeInvalid(type=record.type)
    if record.line not in {LINE, "default"}:
        raise RecordLineInvalid(line=record.line)
    if not TTL[0] <= record.ttl <= TTL[1]:
        raise TtlOutOfRange(ttl=record.ttl)
    if record.type == "MX" and record.mx not in PREFERENCES:
        raise MxInvalid(mx=record.mx)
    if record.name != "@" and not _is_name(record.name.removeprefix("*.") if record.name != "*" else "x"):
        raise SubdomainInvalid(name=record.name)
    _check_value(record)
    for other in of_domain(tx, record.domain):
        if other.id == record.id or (other.name, other.line) != (record.name, record.line):
            continue
        if (other.type, other.value) == (record.type, record.value):
            raise RecordExists(name=record.name, type=record.type, value=record.value, domain=record.domain)
        if other.enabled and record.enabled and "CNAME" in {other.type, record.type} and other.type != record.type:
            raise RecordConflict(name=record.name)


def create(tx: Transaction, wanted: DnsRecord) -> DnsRecord:
    """A new record; number and times are given here."""
    zone = get_domain(tx, wanted.domain)
    number = 1000 + tx.count("dns record")
    made = replace(wanted, id=str(number), domain=zone.id, created=tx.now, updated=tx.now)
    _check(tx, made)
    return tx.put(made)


def change(tx: Transaction, changed: DnsRecord) -> None:
    """ModifyRecord gives the whole record anew."""
    present = get(tx, changed.domain, changed.number)
    kept = replace(changed, domain=present.domain, created=present.created, updated=tx.now)
    _check(tx, kept)
    tx.put(kept)


def switch(tx: Transaction, domain: str, number: int, *, on: bool) -> None:
    """ModifyRecordStatus."""
    changed = replace(get(tx, domain, number), enabled=on, updated=tx.now)
    _check(tx, changed)
    tx.put(changed)


def remark(tx: Transaction, domain: str, number: int, text: str) -> None:
    """ModifyRecordRemark."""
    tx.put(replace(get(tx, domain, number), remark=text, updated=tx.now))


def delete(tx: Transaction, domain: str, number: int) -> None:
    """DeleteRecord."""
    tx.delete(get(tx, domain, number))
