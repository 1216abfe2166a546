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
GRADE = "DP_FREE"  # of every domain
TTL = (600, 604_800)
PREFERENCES = range(65_536)  # of MX records
WEIGHTS = range(101)
NAME_LIMIT = 253
VALUE_LIMIT = 2048
REMARK_LIMIT = 200
# Records with one name, type and line.
ROLL_LIMIT = 2
_CREATE = "1427/56180"
_VALUES = documented("CreateRecord: the parameter and its code", page=_CREATE)

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
    mx: int | None
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
    source = _VALUES


class DomainInvalid(Refusal):
    """A domain's name is made of labels, and has at least two."""

    code = "InvalidParameter.DomainInvalid"
    template = "The domain `{domain}` is not valid."
    source = documented("CreateRecord: Domain; InvalidParameter.DomainInvalid", page=_CREATE)


class DomainExists(Refusal):
    """A domain is added once."""

    code = "FailedOperation.DomainExists"
    template = "The domain `{domain}` is already there."
    source = assumed("the SDK has the code; the number of CreateDomain's page is not known here")


class RecordNotFound(Refusal):
    """A record that a request names is one of its domain's."""

    code = "InvalidParameter.RecordIdInvalid"
    template = "The record {record_id} does not exist in domain `{domain}`."
    source = provider("this code counts as gone (provider-api.md, retry rules: dnspod)")


class RecordExists(Refusal):
    """A record is not added twice with the same name, type, line and value."""

    code = "InvalidParameter.DomainRecordExist"
    template = "The record `{name}` {type} {value} is already in domain `{domain}`."
    source = _VALUES


class RecordConflict(Refusal):
    """A CNAME stands alone at its name on its line."""

    code = "InvalidParameter.DomainRecordExist"
    template = "A CNAME can't stand beside another record at `{name}`."
    source = assumed("RFC 1034, 3.6.2; no page of DNSPod's says it")


class RecordTypeInvalid(Refusal):
    """A record's type is A, AAAA, CNAME, MX, NS, TXT, SRV or CAA, in capitals."""

    code = "InvalidParameter.RecordTypeInvalid"
    template = "The record type `{type}` is not valid."
    source = _VALUES


class RecordLineInvalid(Refusal):
    """A record's line is the default one."""

    code = "InvalidParameter.RecordLineInvalid"
    template = "The record line `{line}` is not valid: localcloud has `默认` alone."
    source = documented(
        "CreateRecord: RecordLine, in Chinese, such as 默认; that it is the only one: localcloud's own", page=_CREATE
    )


class RecordValueInvalid(Refusal):
    """A record's value fits its type."""

    code = "InvalidParameter.RecordValueInvalid"
    template = "The value `{value}` is not valid for a record of type {type}."
    source = _VALUES


class SubdomainInvalid(Refusal):
    """A record's name is `@`, `*`, or labels with a dot between them."""

    code = "InvalidParameter.SubdomainInvalid"
    template = "The subdomain `{name}` is not valid."
    source = _VALUES


class TtlOutOfRange(Refusal):
    """A TTL is 600 to 604800 seconds: a domain of the free plan has no smaller one."""

    code = "LimitExceeded.RecordTtlLimit"
    template = "The TTL {ttl} is not in [600, 604800], the range of a domain of grade DP_FREE."
    source = assumed("CreateRecord (1427/56180): 1 to 604800, the least depends on the plan; no page read names it")


class TooManyRecords(Refusal):
    """A domain of the free plan has at most 2 records with the same name, type and line."""

    code = "LimitExceeded.SubdomainRollLimit"
    template = "`{name}` already has 2 records of type {type} on this line."
    source = assumed("CreateRecord (1427/56180) has the code; no page read names the free plan's figure")


class WeightInvalid(Refusal):
    """A record's weight is 0 to 100."""

    code = "InvalidParameter.InvalidWeight"
    template = "The weight {weight} is not in [0, 100]."
    source = documented("CreateRecord: Weight from 0 to 100", page=_CREATE)


class RemarkTooLong(Refusal):
    """A record's remark has at most 200 characters."""

    code = "InvalidParameter.RemarkTooLong"
    template = "The remark has {count} characters; the limit is 200."
    source = documented("CreateRecord: Remark; InvalidParameter.RemarkTooLong, at most 200", page=_CREATE)


class MxInvalid(Refusal):
    """An MX record has a preference, 0 to 65535."""

    code = "InvalidParameter.MxInvalid"
    template = "The MX preference {mx} is not in [0, 65535]."
    source = documented("CreateRecord: MX, required for MX records, 0 to 65535", page=_CREATE)


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


def _check_remark(text: str) -> None:
    if len(text) > REMARK_LIMIT:
        raise RemarkTooLong(count=len(text))


def _check(tx: Transaction, record: DnsRecord) -> None:
    if record.type not in TYPES:
        raise RecordTypeInvalid(type=record.type)
    if record.line != LINE:
        raise RecordLineInvalid(line=record.line)
    if not TTL[0] <= record.ttl <= TTL[1]:
        raise TtlOutOfRange(ttl=record.ttl)
    if record.type == "MX" and record.mx not in PREFERENCES:
        raise MxInvalid(mx=record.mx)
    if record.weight is not None and record.weight not in WEIGHTS:
        raise WeightInvalid(weight=record.weight)
    _check_remark(record.remark)
    if record.name != "@" and not _is_name(record.name.removeprefix("*.") if record.name != "*" else "x"):
        raise SubdomainInvalid(name=record.name)
    _check_value(record)
    others = [
        other
        for other in of_domain(tx, record.domain)
        if other.id != record.id and (other.name, other.line) == (record.name, record.line)
    ]
    for other in others:
        if (other.type, other.value) == (record.type, record.value):
            raise RecordExists(name=record.name, type=record.type, value=record.value, domain=record.domain)
        if other.enabled and record.enabled and "CNAME" in {other.type, record.type} and other.type != record.type:
            raise RecordConflict(name=record.name)
    if sum(other.type == record.type for other in others) >= ROLL_LIMIT:
        raise TooManyRecords(name=record.name, type=record.type)


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
    _check_remark(text)
    tx.put(replace(get(tx, domain, number), remark=text, updated=tx.now))


def delete(tx: Transaction, domain: str, number: int) -> None:
    """DeleteRecord."""
    tx.delete(get(tx, domain, number))
