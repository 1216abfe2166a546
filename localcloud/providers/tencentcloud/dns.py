"""Dnspod/record (id `<domain>#<record id>`)."""

from __future__ import annotations

from typing import Any

from localcloud.providers.schema import FIXED, OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud.api import Api, ignore_missing
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties


def _parameters(inputs: Properties) -> dict[str, Any]:
    return {
        "Domain": inputs["domain"],
        "SubDomain": inputs["subDomain"],
        "RecordType": inputs["recordType"],
        "RecordLine": inputs["recordLine"],
        "Value": inputs["value"],
        "TTL": inputs["ttl"],
        "Status": inputs["status"],
        "MX": inputs.get("mx"),
        "Weight": inputs.get("weight"),
    }


def _create(api: Api, inputs: Properties, _token: str) -> str:
    return f"{inputs['domain']}#{api.call('dnspod', 'CreateRecord', _parameters(inputs))['RecordId']}"


def _settle(api: Api, record_id: str, inputs: Properties) -> None:
    if inputs.get("remark"):
        _remark(api, record_id, inputs["remark"])


def _remark(api: Api, record_id: str, remark: str) -> None:
    domain, number = record_id.split("#")
    api.call("dnspod", "ModifyRecordRemark", {"Domain": domain, "RecordId": int(number), "Remark": remark})


def _read(api: Api, record_id: str, _inputs: Properties) -> Properties | None:
    domain, number = record_id.split("#")
    response = api.find_response("dnspod", "DescribeRecord", {"Domain": domain, "RecordId": int(number)})
    record = response.get("RecordInfo")
    if not record:
        return None
    return {
        "domain": domain,
        "subDomain": record["SubDomain"],
        "recordType": record["RecordType"],
        "recordLine": record["RecordLine"],
        "value": record["Value"],
        "ttl": record["TTL"],
        "mx": record.get("MX") or 0,
        "status": "ENABLE" if record["Enabled"] else "DISABLE",
        "monitorStatus": record.get("MonitorStatus") or "",
        "remark": record.get("Remark") or "",
    }


def _update(api: Api, record_id: str, old: Properties, new: Properties) -> None:
    if _parameters(new) != _parameters(old):
        number = int(record_id.split("#")[1])
        api.call("dnspod", "ModifyRecord", {**_parameters(new), "RecordId": number})
    if new.get("remark", "") != old.get("remark", ""):
        _remark(api, record_id, new.get("remark", ""))


def _delete(api: Api, record_id: str, _outputs: Properties) -> None:
    domain, number = record_id.split("#")
    ignore_missing(lambda: api.call("dnspod", "DeleteRecord", {"Domain": domain, "RecordId": int(number)}))


RECORD = ResourceType(
    properties={
        "domain": FIXED,
        "subDomain": Property(default="@"),
        "recordType": REQUIRED,
        "recordLine": REQUIRED,
        "value": REQUIRED,
        "ttl": Property(default=600),
        "status": Property(default="ENABLE"),
        "mx": OPTIONAL,
        "weight": OPTIONAL,
        "remark": OPTIONAL,
    },
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
)
