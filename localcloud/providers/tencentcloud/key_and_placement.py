"""Key/pair and Placement/group."""

from __future__ import annotations

import re
from typing import Any, Final

from localcloud.providers.schema import FIXED, OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud import tags
from localcloud.providers.tencentcloud.api import Api, deleting, ignore_missing
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

_KEY_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,25}")


def _check_key(inputs: Properties) -> str | None:
    if _KEY_NAME.fullmatch(inputs["keyName"]):
        return None
    return f"keyName must be 1 to 25 letters, digits and underscores (got {inputs['keyName']!r})"


def _find_key(api: Api, key_id: str) -> dict[str, Any] | None:
    return api.find("cvm", "DescribeKeyPairs", "KeyPairSet", KeyIds=[key_id])


def _create_key(api: Api, inputs: Properties, _token: str) -> str:
    named = {"KeyName": inputs["keyName"], "ProjectId": inputs["projectId"]}
    if inputs.get("publicKey"):
        return api.cvm("ImportKeyPair", {**named, "PublicKey": inputs["publicKey"]})["KeyId"]
    return api.cvm("CreateKeyPair", named)["KeyPair"]["KeyId"]


def _settle_key(api: Api, key_id: str, inputs: Properties) -> None:
    tags.change(api, "cvm/keypair", key_id, {}, inputs)


def _read_key(api: Api, key_id: str, inputs: Properties) -> Properties | None:
    key = _find_key(api, key_id)
    if key is None:
        return None
    return {
        "keyName": key["KeyName"],
        "projectId": key["ProjectId"],
        "publicKey": _without_comment(inputs.get("publicKey") or key["PublicKey"]),
        "createdTime": key["CreatedTime"],
        "privateKey": "",
        "tags": tags.read(api, "cvm/keypair", key_id),
    }


def _update_key(api: Api, key_id: str, old: Properties, new: Properties) -> None:
    if new["keyName"] != old["keyName"]:
        api.cvm("ModifyKeyPairAttribute", {"KeyId": key_id, "KeyName": new["keyName"]})
    tags.change(api, "cvm/keypair", key_id, old, new)


def _delete_key(api: Api, key_id: str, _outputs: Properties) -> None:
    instances = (_find_key(api, key_id) or {}).get("AssociatedInstanceIds")
    if instances:
        given = {"KeyIds": [key_id], "InstanceIds": instances, "ForceStop": True}
        ignore_missing(lambda: api.cvm("DisassociateInstancesKeyPairs", given))
    ignore_missing(lambda: api.cvm("DeleteKeyPairs", {"KeyIds": [key_id]}))


def _without_comment(public_key: str) -> str:
    """Return the key without its comment; the state has only type and key."""
    return " ".join(public_key.split()[:2])


KEY_PAIR = ResourceType(
    properties={
        "keyName": REQUIRED,
        "publicKey": Property(computed=True, replaces=True, normal=_without_comment),
        "projectId": Property(replaces=True, default=0),
        "tags": OPTIONAL,
    },
    check=_check_key,
    create=_create_key,
    settle=_settle_key,
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
)


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


def _read_group(api: Api, group_id: str, _inputs: Properties) -> Properties | None:
    given = {"DisasterRecoverGroupIds": [group_id]}
    for group in api.rows("cvm", "DescribeDisasterRecoverGroups", "DisasterRecoverGroupSet", **given):
        return {
            "name": group["Name"],
            "type": group["Type"],
            "affinity": group["Affinity"],
            "cvmQuotaTotal": group["CvmQuotaTotal"],
            "currentNum": group["CurrentNum"],
            "createTime": group["CreateTime"],
            "tags": {tag["Key"]: tag["Value"] for tag in group.get("Tags") or []},
        }
    return None


def _update_group(api: Api, group_id: str, old: Properties, new: Properties) -> None:
    if new.get("name") != old.get("name"):
        api.cvm(
            "ModifyDisasterRecoverGroupAttribute", {"DisasterRecoverGroupId": group_id, "Name": new.get("name", "")}
        )
    tags.change(api, "cvm/ps", group_id, old, new)


PLACEMENT_GROUP = ResourceType(
    properties={"name": REQUIRED, "type": FIXED, "affinity": Property(computed=True, replaces=True), "tags": OPTIONAL},
    create=_create_group,
    read=_read_group,
    update=_update_group,
    delete=deleting("cvm", "DeleteDisasterRecoverGroups", lambda group_id: {"DisasterRecoverGroupIds": [group_id]}),
)
