"""DNS records (service dnspod)."""

from __future__ import annotations

from localcloud.rules import dns
from localcloud.rules.dns import DnsRecord
from localcloud.rules.records import beijing_time
from localcloud.rules.refusal import InvalidParameterValue, documented, rule
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import page
from localcloud.services.parameters import Parameters

NAME_SERVERS = ["ns1.localcloud.example", "ns2.localcloud.example"]
_WRITE = (
    dns.DomainNotFound,
    dns.RecordTypeInvalid,
    dns.RecordLineInvalid,
    dns.RecordValueInvalid,
    dns.SubdomainInvalid,
    dns.TooManyLevels,
    dns.TtlOutOfRange,
    dns.TooManyRecords,
    dns.WeightInvalid,
    dns.RemarkTooLong,
    dns.MxInvalid,
    dns.RecordExists,
    dns.RecordConflict,
)
NoRecords = rule(
    "ResourceNotFound.NoDataOfRecord",
    "A list of records must not be empty, unless ErrorOnEmpty is `no`.",
    documented("DescribeRecordList: ErrorOnEmpty", page="1427/56166"),
)


def _line(given: Parameters) -> str:
    """Return the line name. RecordLineId has precedence over RecordLine; the default line has ID 0."""
    name, number = given.text("RecordLine"), given.find_text("RecordLineId")
    if number is None:
        return name
    return dns.LINE if number == "0" else number


def _record(given: Parameters, record_id: str, present: DnsRecord | None) -> DnsRecord:
    status = given.find_text("Status") or "ENABLE"
    if status not in {"ENABLE", "DISABLE"}:
        raise InvalidParameterValue(name="Status", value=status, expected="ENABLE or DISABLE")
    remark = given.find_text("Remark")
    return DnsRecord(
        id=record_id,
        domain=given.text("Domain"),
        name=given.find_text("SubDomain") or "@",
        type=given.text("RecordType"),
        line=_line(given),
        value=given.text("Value"),
        ttl=given.integer_or("TTL", 600),
        mx=given.find_integer("MX"),
        weight=given.find_integer("Weight"),
        enabled=status == "ENABLE",
        remark=remark if remark is not None else present.remark if present else "",
    )


@action("dnspod", "CreateRecord", *_WRITE)
def create_record(call: Call, given: Parameters) -> Answer:
    """Create a record."""
    return {"RecordId": dns.create(call.tx, _record(given, "0", None)).number}


@action("dnspod", "DescribeRecord", dns.DomainNotFound, dns.RecordNotFound)
def describe_record(call: Call, given: Parameters) -> Answer:
    """Return one record."""
    domain = given.text("Domain")
    found = dns.get(call.tx, domain, given.integer("RecordId"))
    return {
        "RecordInfo": {
            "Id": found.number,
            "SubDomain": found.name,
            "RecordType": found.type,
            "RecordLine": found.line,
            "RecordLineId": "0",
            "Value": found.value,
            "Weight": found.weight,
            "MX": found.mx or 0,
            "TTL": found.ttl,
            "Enabled": int(found.enabled),
            "Remark": found.remark,
            "UpdatedOn": beijing_time(found.updated),
            "DomainId": dns.get_domain(call.tx, domain).number,
        }
    }


def _listed(found: DnsRecord) -> Answer:
    return {
        "RecordId": found.number,
        "Value": found.value,
        "Status": "ENABLE" if found.enabled else "DISABLE",
        "UpdatedOn": beijing_time(found.updated),
        "Name": found.name,
        "Line": found.line,
        "LineId": "0",
        "Type": found.type,
        "Weight": found.weight,
        "Remark": found.remark,
        "TTL": found.ttl,
        "MX": found.mx or 0,
    }


def _list(call: Call, found: list[DnsRecord]) -> Answer:
    rows = [_listed(record) for record in page(call, found, default=100, highest=3000)]
    names = {one.name for one in found}
    count = {"SubdomainCount": len(names), "ListCount": len(rows), "TotalCount": len(found)}
    return {"RecordCountInfo": count, "RecordList": rows}


@action("dnspod", "DescribeRecordList", dns.DomainNotFound, NoRecords)
def describe_record_list(call: Call, given: Parameters) -> Answer:
    """List the records of a domain."""
    domain = dns.get_domain(call.tx, given.text("Domain"))
    name = given.find_text("Subdomain") or given.find_text("SubDomain")
    kind, line, keyword = given.find_text("RecordType"), given.find_text("RecordLine"), given.find_text("Keyword")
    found = [
        record
        for record in dns.of_domain(call.tx, domain.id)
        if (not name or record.name == name)
        and (not kind or record.type == kind)
        and (not line or record.line == line)
        and (not keyword or keyword in record.name or keyword in record.value)
    ]
    if not found and given.find_text("ErrorOnEmpty") != "no":
        raise NoRecords(domain=domain.id)
    return _list(call, found)


@action("dnspod", "ModifyRecord", *_WRITE, dns.RecordNotFound)
def modify_record(call: Call, given: Parameters) -> Answer:
    """Replace all attributes of a record."""
    number = given.integer("RecordId")
    present = dns.get(call.tx, given.text("Domain"), number)
    dns.change(call.tx, _record(given, str(number), present))
    return {"RecordId": number}


@action("dnspod", "ModifyRecordRemark", dns.DomainNotFound, dns.RecordNotFound, dns.RemarkTooLong)
def modify_record_remark(call: Call, given: Parameters) -> None:
    """Change the remark of a record."""
    dns.remark(call.tx, given.text("Domain"), given.integer("RecordId"), given.find_text("Remark") or "")


@action("dnspod", "DeleteRecord", dns.DomainNotFound, dns.RecordNotFound)
def delete_record(call: Call, given: Parameters) -> None:
    """Delete a record."""
    dns.delete(call.tx, given.text("Domain"), given.integer("RecordId"))


@action("dnspod", "CreateDomain", dns.DomainInvalid, dns.DomainExists)
def create_domain(call: Call, given: Parameters) -> Answer:
    """Add a domain."""
    made = dns.add_domain(call.tx, given.text("Domain"))
    info = {"Id": made.number, "Domain": made.id, "Punycode": made.id, "GradeNsList": NAME_SERVERS}
    return {"DomainInfo": info}
