"""DNS records of DNSPod. They belong to no region."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from localcloud.rules.records import Record
from localcloud.rules.refusal import assumed, documented, provider, rule
from localcloud.rules.transaction import Transaction

LINE = "默认"
# The initial domain of every localcloud, reserved for documentation (RFC 2606).
INITIAL_DOMAIN = "example.com"
TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "TXT", "SRV", "CAA")
TTL = (600, 604_800)
PREFERENCES = range(65_536)  # of MX records
WEIGHTS = range(101)
NAME_LIMIT = 253
VALUE_LIMIT = 2048
REMARK_LIMIT = 200
LEVELS = 3  # labels of a name
# Records with one name, type and line.
ROLL_LIMIT = 2
_CREATE = "1427/56180"
_VALUES = documented("CreateRecord: parameter and code", page=_CREATE)

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain(Record):
    """A zone. The ID of the record is the domain name."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecord(Record):
    """A DNS record of a zone. Its ID is a number."""

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
    updated: float = 0.0

    @property
    def number(self) -> int:
        """The ID as an integer, as in the API."""
        return int(self.id)


_CREATE_RECORD = documented("CreateRecord", page=_CREATE)
DomainNotFound = rule("InvalidParameterValue.DomainNotExists", "Domain must be a domain of the account.", _VALUES)
DomainInvalid = rule(
    "InvalidParameter.DomainInvalid", "A domain name must have at least two valid labels.", _CREATE_RECORD
)
DomainExists = rule(
    "FailedOperation.DomainExists",
    "A domain can be added only once.",
    assumed("the SDK has the code; the number of the CreateDomain page is unknown"),
)
RecordNotFound = rule(
    "InvalidParameter.RecordIdInvalid",
    "RecordId must identify an existing record of the domain.",
    provider("interprets this code as deleted (observed with 1.82.42)"),
)
RecordExists = rule(
    "InvalidParameter.DomainRecordExist",
    "A domain must not have two records with the same name, type, line and value.",
    _VALUES,
)
RecordConflict = rule(
    "InvalidParameter.DomainRecordExist",
    "A CNAME must be the only record of its name on a line.",
    assumed("RFC 1034, 3.6.2; no page of DNSPod mentions it"),
)
RecordTypeInvalid = rule(
    "InvalidParameter.RecordTypeInvalid",
    "The type of a record must be A, AAAA, CNAME, MX, NS, TXT, SRV or CAA, in upper case.",
    _VALUES,
)
RecordLineInvalid = rule(
    "InvalidParameter.RecordLineInvalid",
    "The line of a record must be the default line.",
    documented("CreateRecord: RecordLine, such as 默认; localcloud has only this one", page=_CREATE),
)
RecordValueInvalid = rule(
    "InvalidParameter.RecordValueInvalid", "The value of a record must be valid for its type.", _VALUES
)
SubdomainInvalid = rule(
    "InvalidParameter.SubdomainInvalid", "The name of a record must be `@`, `*`, or labels separated by dots.", _VALUES
)
TtlOutOfRange = rule(
    "LimitExceeded.RecordTtlLimit",
    "A TTL must be 600 to 604800 seconds, the range of the free plan.",
    assumed("CreateRecord (1427/56180): 1 to 604800, the minimum depends on the plan; 1427/86551 shows 120 for D_Free"),
)
TooManyRecords = rule(
    "LimitExceeded.SubdomainRollLimit",
    "A domain of the free plan can have at most 2 records with the same name, type and line.",
    assumed("CreateRecord (1427/56180) has the code; DescribePackageDetail (1427/86551) shows 4 for D_Free"),
)
TooManyLevels = rule(
    "LimitExceeded.SubdomainLevelLimit",
    "The name of a record of the free plan can have at most 3 labels.",
    documented("DescribePackageDetail: SubDomainLevel of D_Free; code: the SDK's errorcodes.py", page="1427/86551"),
)
WeightInvalid = rule("InvalidParameter.InvalidWeight", "The weight of a record must be 0 to 100.", _CREATE_RECORD)
RemarkTooLong = rule(
    "InvalidParameter.RemarkTooLong", "The remark of a record must not exceed 200 characters.", _CREATE_RECORD
)
MxInvalid = rule("InvalidParameter.MxInvalid", "An MX record must have a preference of 0 to 65535.", _CREATE_RECORD)


def get_domain(tx: Transaction, name: str) -> Domain:
    """Return the domain, initially `example.com`. Raises: DomainNotFound."""
    found = tx.find(Domain, name.lower())
    if found is None and name.lower() == INITIAL_DOMAIN:
        return _add(tx, INITIAL_DOMAIN)
    if found is None:
        raise DomainNotFound(got=name)
    return found


def _add(tx: Transaction, name: str) -> Domain:
    return tx.put(Domain(id=name, region="", created=tx.now, number=tx.count("domain")))


def add_domain(tx: Transaction, name: str) -> Domain:
    labels = name.lower().split(".")
    if "." not in name or len(name) > NAME_LIMIT or not all(_LABEL.fullmatch(label) for label in labels):
        raise DomainInvalid(got=name)
    if name.lower() == INITIAL_DOMAIN or tx.find(Domain, name.lower()) is not None:
        raise DomainExists(domain=name)
    return _add(tx, name.lower())


def of_domain(tx: Transaction, domain: str) -> list[DnsRecord]:
    return [record for record in tx.all(DnsRecord) if record.domain == domain]


def get(tx: Transaction, domain: str, number: int) -> DnsRecord:
    """Return the record. Raises: DomainNotFound or RecordNotFound."""
    zone = get_domain(tx, domain)
    found = tx.find(DnsRecord, str(number))
    if found is None or found.domain != zone.id:
        raise RecordNotFound(got=number, domain=domain)
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
        raise RecordValueInvalid(got=record.value, type=record.type)


def _check_remark(text: str) -> None:
    if len(text) > REMARK_LIMIT:
        raise RemarkTooLong(got=len(text))


def _check(tx: Transaction, record: DnsRecord) -> None:
    if record.type not in TYPES:
        raise RecordTypeInvalid(got=record.type)
    if record.line != LINE:
        raise RecordLineInvalid(got=record.line)
    if not TTL[0] <= record.ttl <= TTL[1]:
        raise TtlOutOfRange(got=record.ttl)
    if record.type == "MX" and record.mx not in PREFERENCES:
        raise MxInvalid(got=record.mx)
    if record.weight is not None and record.weight not in WEIGHTS:
        raise WeightInvalid(got=record.weight)
    _check_remark(record.remark)
    if record.name != "@" and not _is_name(record.name.removeprefix("*.") if record.name != "*" else "x"):
        raise SubdomainInvalid(got=record.name)
    if record.name.count(".") >= LEVELS:
        raise TooManyLevels(got=record.name)
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


def create(tx: Transaction, requested: DnsRecord) -> DnsRecord:
    zone = get_domain(tx, requested.domain)
    number = 1000 + tx.count("dns record")
    made = replace(requested, id=str(number), domain=zone.id, created=tx.now, updated=tx.now)
    _check(tx, made)
    return tx.put(made)


def change(tx: Transaction, changed: DnsRecord) -> None:
    """ModifyRecord: replace all attributes of the record."""
    present = get(tx, changed.domain, changed.number)
    kept = replace(changed, domain=present.domain, created=present.created, updated=tx.now)
    _check(tx, kept)
    tx.put(kept)


def remark(tx: Transaction, domain: str, number: int, text: str) -> None:
    _check_remark(text)
    tx.put(replace(get(tx, domain, number), remark=text, updated=tx.now))


def delete(tx: Transaction, domain: str, number: int) -> None:
    tx.delete(get(tx, domain, number))
