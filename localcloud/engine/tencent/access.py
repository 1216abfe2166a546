"""Key/pair and Placement/group: what instances are created with."""

from __future__ import annotations

import re
from typing import Any, Final

from localcloud.engine.tencent import tags
from localcloud.engine.tencent.api import Api, ignore_missing
from localcloud.engine.tencent.kind import Kind
from localcloud.engine.values import Properties

_KEY_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,25}")


def _check_key(inputs: Properties) -> str | None:
    if _KEY_NAME.fullmatch(inputs["keyName"]):
        return None
    return f"keyName {inputs['keyName']!r}: 1 to 25 letters, digits and underscores (no hyphen)"


def _describe_keys(api: Api, **wanted: Any) -> list[dict[str, Any]]:
    return api.cvm("DescribeKeyPairs", wanted).get("KeyPairSet") or []


def _create_key(api: Api, inputs: Properties, token: str) -> str:
    del token
    named = {"KeyName": inputs["keyName"], "ProjectId": inputs["projectId"]}
    if inputs.get("publicKey"):
        return api.cvm("ImportKeyPair", {**named, "PublicKey": inputs["publicKey"]})["KeyId"]
    return api.cvm("CreateKeyPair", named)["KeyPair"]["KeyId"]


def _settle_key(api: Api, key_id: str, inputs: Properties) -> None:
    tags.change(api, "cvm/keypair", key_id, {}, inputs)


def _read_key(api: Api, key_id: str, inputs: Properties) -> Properties | None:
    found = _describe_keys(api, KeyIds=[key_id])
    if not found:
        return None
    key = found[0]
    # The real provider keeps the key itself and drops its comment.
    public_key = " ".join(str(inputs.get("publicKey") or key["PublicKey"]).split()[:2])
    return {
        "keyName": key["KeyName"],
        "projectId": key["ProjectId"],
        "publicKey": public_key,
        "createdTime": key["CreatedTime"],
        "privateKey": "",
        "tags": tags.read(api, "cvm/keypair", key_id),
    }


def _update_key(api: Api, key_id: str, old: Properties, new: Properties) -> None:
    if new["keyName"] != old["keyName"]:
        api.cvm("ModifyKeyPairAttribute", {"KeyId": key_id, "KeyName": new["keyName"]})
    tags.change(api, "cvm/keypair", key_id, old, new)


def _delete_key(api: Api, key_id: str, outputs: Properties) -> None:
    del outputs
    found = _describe_keys(api, KeyIds=[key_id])
    if not found:
        return
    instances = found[0].get("AssociatedInstanceIds") or []
    if instances:
        ignore_missing(
            lambda: api.cvm(
                "DisassociateInstancesKeyPairs", {"KeyIds": [key_id], "InstanceIds": instances, "ForceStop": True}
            )
        )
    ignore_missing(lambda: api.cvm("DeleteKeyPairs", {"KeyIds": [key_id]}))


def _find_key(api: Api, inputs: Properties) -> list[str]:
    found = _describe_keys(api, Filters=[{"Name": "key-name", "Values": [inputs["keyName"]]}])
    return [one["KeyId"] for one in found if one["KeyName"] == inputs["keyName"]]


KEY_PAIR = Kind(
    create=_create_key,
    settle=_settle_key,
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
    find=_find_key,
    required=("keyName",),
    replaces=frozenset({"publicKey", "projectId"}),
    computed=frozenset({"publicKey"}),
    defaults={"projectId": 0},
    check=_check_key,
)


def _describe_groups(api: Api, **wanted: Any) -> list[dict[str, Any]]:
    return api.cvm("DescribeDisasterRecoverGroups", wanted).get("DisasterRecoverGroupSet") or []


def _create_group(api: Api, inputs: Properties, token: str) -> str:
    answer = api.cvm(
        "CreateDisasterRecoverGroup",
        {
            "Name": inputs.get("name", ""),
            "Type": inputs["type"],
            "Affinity": inputs.get("affinity"),
            "TagSpecification": tags.specification("ps", inputs.get("tags")),
            "ClientToken": token,
        },
    )
    return answer["DisasterRecoverGroupId"]


def _read_group(api: Api, group_id: str, inputs: Properties) -> Properties | None:
    del inputs
    found = _describe_groups(api, DisasterRecoverGroupIds=[group_id])
    if not found:
        return None
    group = found[0]
    return {
        "name": group["Name"],
        "type": group["Type"],
        "affinity": group["Affinity"],
        "cvmQuotaTotal": group["CvmQuotaTotal"],
        "currentNum": group["CurrentNum"],
        "createTime": group["CreateTime"],
        "tags": {one["Key"]: one["Value"] for one in group.get("Tags") or []},
    }


def _update_group(api: Api, group_id: str, old: Properties, new: Properties) -> None:
    if new.get("name") != old.get("name"):
        api.cvm(
            "ModifyDisasterRecoverGroupAttribute", {"DisasterRecoverGroupId": group_id, "Name": new.get("name", "")}
        )
    tags.change(api, "cvm/ps", group_id, old, new)


def _delete_group(api: Api, group_id: str, outputs: Properties) -> None:
    del outputs
    ignore_missing(lambda: api.cvm("DeleteDisasterRecoverGroups", {"DisasterRecoverGroupIds": [group_id]}))


def _find_group(api: Api, inputs: Properties) -> list[str]:
    found = _describe_groups(api, Name=inputs.get("name", ""))
    return [one["DisasterRecoverGroupId"] for one in found if one["Name"] == inputs.get("name", "")]


PLACEMENT_GROUP = Kind(
    create=_create_group,
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
    find=_find_group,
    required=("type",),
    replaces=frozenset({"type", "affinity"}),
    computed=frozenset({"affinity"}),
    delete_before_replace=True,
)
