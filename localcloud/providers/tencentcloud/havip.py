"""Ha/vip, Ha/vipInstanceAttachment, Ha/vipEipAttachment."""

from __future__ import annotations

from typing import Any, Final

from localcloud.providers.schema import FIXED, REQUIRED, Property
from localcloud.providers.tencentcloud.api import Api, ApiError, ignore_missing, wait_until
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

_TIMEOUT_S: Final = 180.0


def _describe(api: Api, **parameters: Any) -> list[dict[str, Any]]:
    return api.rows("vpc", "DescribeHaVips", "HaVipSet", **parameters)


def _find(api: Api, havip_id: str) -> dict[str, Any] | None:
    return next(iter(_describe(api, HaVipIds=[havip_id])), None)


def _public_ip(api: Api, havip_id: str) -> str:
    return (_find(api, havip_id) or {}).get("AddressIp") or ""


def _create(api: Api, inputs: Properties, _token: str) -> str:
    answer = api.vpc(
        "CreateHaVip",
        {
            "VpcId": inputs["vpcId"],
            "SubnetId": inputs["subnetId"],
            "HaVipName": inputs.get("name", ""),
            "Vip": inputs.get("vip"),
            "CheckAssociate": inputs.get("checkAssociate"),
        },
    )
    return answer["HaVip"]["HaVipId"]


def _read(api: Api, havip_id: str, _inputs: Properties) -> Properties | None:
    vip = _find(api, havip_id)
    if vip is None:
        return None
    return {
        "name": vip["HaVipName"],
        "vip": vip["Vip"],
        "vpcId": vip["VpcId"],
        "subnetId": vip["SubnetId"],
        "addressIp": vip.get("AddressIp") or "",
        "state": vip.get("State") or "",
        "networkInterfaceId": vip.get("NetworkInterfaceId") or "",
        "instanceId": vip.get("InstanceId") or "",
        "createTime": vip.get("CreatedTime") or "",
        "checkAssociate": bool(vip.get("CheckAssociate")),
    }


def _update(api: Api, havip_id: str, _old: Properties, new: Properties) -> None:
    api.vpc("ModifyHaVipAttribute", {"HaVipId": havip_id, "HaVipName": new.get("name", "")})


def _delete(api: Api, havip_id: str, _outputs: Properties) -> None:
    def deleted() -> bool:
        try:
            ignore_missing(lambda: api.vpc("DeleteHaVip", {"HaVipId": havip_id}))
        except ApiError as error:
            # Still bound: a successful disassociation can take effect later (the real provider retries too).
            if error.code.startswith("UnsupportedOperation"):
                return False
            raise
        return True

    wait_until(f"{havip_id} to be unbound and deleted", deleted, timeout_s=_TIMEOUT_S)
    wait_until(f"{havip_id} to be deleted", lambda: _find(api, havip_id) is None, timeout_s=_TIMEOUT_S)


VIP = ResourceType(
    properties={
        "name": REQUIRED,
        "vpcId": FIXED,
        "subnetId": FIXED,
        "vip": Property(computed=True, replaces=True),
        "checkAssociate": Property(computed=True, replaces=True),
    },
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
)


def _attachment(api: Api, havip_id: str, instance_id: str) -> dict[str, Any] | None:
    filters = [
        {"Name": "havip-id", "Values": [havip_id]},
        {"Name": "havip-association.instance-id", "Values": [instance_id]},
    ]
    for vip in _describe(api, Filters=filters, Offset=0, Limit=100):
        for association in vip.get("HaVipAssociationSet") or []:
            if association["HaVipId"] == havip_id and association["InstanceId"] == instance_id:
                return association
    return None


def _attach(api: Api, inputs: Properties, _token: str) -> str:
    association = {
        "HaVipId": inputs["haVipId"],
        "InstanceId": inputs["instanceId"],
        "InstanceType": inputs.get("instanceType", ""),
    }
    api.vpc("AssociateHaVipInstance", {"HaVipAssociationSet": [association]})
    return f"{inputs['haVipId']}#{inputs['instanceId']}"


def _read_attachment(api: Api, attachment_id: str, _inputs: Properties) -> Properties | None:
    havip_id, instance_id = attachment_id.split("#")
    found = _attachment(api, havip_id, instance_id)
    if found is None:
        return None
    return {"haVipId": havip_id, "instanceId": instance_id, "instanceType": found.get("InstanceType") or ""}


def _detach(api: Api, attachment_id: str, _outputs: Properties) -> None:
    havip_id, instance_id = attachment_id.split("#")
    if _attachment(api, havip_id, instance_id) is None:
        return
    association = {"HaVipId": havip_id, "InstanceId": instance_id}
    ignore_missing(lambda: api.vpc("DisassociateHaVipInstance", {"HaVipAssociationSet": [association]}))


VIP_INSTANCE_ATTACHMENT = ResourceType(
    properties={"haVipId": FIXED, "instanceId": FIXED, "instanceType": Property(replaces=True)},
    create=_attach,
    read=_read_attachment,
    delete=_detach,
)


def _bind(api: Api, inputs: Properties, _token: str) -> str:
    api.vpc("HaVipAssociateAddressIp", {"HaVipId": inputs["havipId"], "AddressIp": inputs["addressIp"]})
    return f"{inputs['havipId']}#{inputs['addressIp']}"


def _settle_binding(api: Api, binding_id: str, _inputs: Properties) -> None:
    havip_id, address = binding_id.split("#")
    wait_until(f"{havip_id} to be bound to {address}", lambda: _public_ip(api, havip_id), timeout_s=_TIMEOUT_S)


def _read_binding(api: Api, binding_id: str, _inputs: Properties) -> Properties | None:
    havip_id, address = binding_id.split("#")
    return {"havipId": havip_id, "addressIp": address} if _public_ip(api, havip_id) == address else None


def _unbind(api: Api, binding_id: str, _outputs: Properties) -> None:
    havip_id, address = binding_id.split("#")
    if _public_ip(api, havip_id) != address:
        return
    ignore_missing(lambda: api.vpc("HaVipDisassociateAddressIp", {"HaVipId": havip_id}))
    wait_until(f"{havip_id} to be unbound from {address}", lambda: not _public_ip(api, havip_id), timeout_s=_TIMEOUT_S)


VIP_EIP_ATTACHMENT = ResourceType(
    properties={"havipId": FIXED, "addressIp": FIXED},
    create=_bind,
    settle=_settle_binding,
    read=_read_binding,
    delete=_unbind,
)
