"""Security/group and Security/groupRuleSet."""

from __future__ import annotations

from typing import Any, Final

from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud import tags
from localcloud.providers.tencentcloud.api import Api, ignore_missing, wait_until
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

_RELEASE_TIMEOUT_S: Final = 180.0


def _create(api: Api, inputs: Properties, _token: str) -> str:
    project = inputs.get("projectId")
    answer = api.vpc(
        "CreateSecurityGroup",
        {
            "GroupName": inputs.get("name", ""),
            "GroupDescription": inputs.get("description", ""),
            "ProjectId": None if project is None else str(project),
            "Tags": tags.as_list(inputs.get("tags")),
        },
    )
    return answer["SecurityGroup"]["SecurityGroupId"]


def _read(api: Api, group_id: str, _inputs: Properties) -> Properties | None:
    for group in api.rows("vpc", "DescribeSecurityGroups", "SecurityGroupSet", SecurityGroupIds=[group_id]):
        return {
            "name": group["SecurityGroupName"],
            "description": group["SecurityGroupDesc"],
            "projectId": int(group["ProjectId"] or 0),
            "tags": tags.read(api, "cvm/sg", group_id),
        }
    return None


def _update(api: Api, group_id: str, old: Properties, new: Properties) -> None:
    changed = {
        key: new.get(name, "")
        for name, key in (("name", "GroupName"), ("description", "GroupDescription"))
        if new.get(name) != old.get(name)
    }
    if changed:
        api.vpc("ModifySecurityGroupAttribute", {"SecurityGroupId": group_id, **changed})
    tags.change(api, "cvm/sg", group_id, old, new)


def _delete(api: Api, group_id: str, _outputs: Properties) -> None:
    def unused() -> bool:
        action, key = "DescribeSecurityGroupAssociationStatistics", "SecurityGroupAssociationStatisticsSet"
        rows = api.rows("vpc", action, key, SecurityGroupIds=[group_id])
        return not any(row.get(kind) for row in rows for kind in ("CVM", "CLB", "CDB", "ENI", "SG"))

    wait_until(f"{group_id} to be unused", unused, timeout_s=_RELEASE_TIMEOUT_S)
    ignore_missing(lambda: api.vpc("DeleteSecurityGroup", {"SecurityGroupId": group_id}))


GROUP = ResourceType(
    properties={
        "name": REQUIRED,
        "description": Property(default=""),
        "projectId": Property(computed=True, replaces=True),
        "tags": OPTIONAL,
    },
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
)


_POLICY_KEYS: Final = (
    ("action", "Action"),
    ("cidrBlock", "CidrBlock"),
    ("ipv6CidrBlock", "Ipv6CidrBlock"),
    ("sourceSecurityId", "SecurityGroupId"),
    ("protocol", "Protocol"),
    ("port", "Port"),
    ("description", "PolicyDescription"),
)


_TEMPLATES: Final = {
    "AddressTemplate": (("addressTemplateId", "AddressId"), ("addressTemplateGroup", "AddressGroupId")),
    "ServiceTemplate": (("serviceTemplateId", "ServiceId"), ("serviceTemplateGroup", "ServiceGroupId")),
}


def _given(rule: Properties, names: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {key: rule[name] for name, key in names if rule.get(name)}


def _policy(rule: Properties) -> dict[str, Any]:
    templates = {key: _given(rule, names) for key, names in _TEMPLATES.items()}
    return _given(rule, _POLICY_KEYS) | {key: given for key, given in templates.items() if given}


def _policies(inputs: Properties, version: str | None) -> dict[str, Any]:
    given = {
        direction: [_policy(rule) for rule in inputs.get(name) or ()]
        for name, direction in (("ingresses", "Ingress"), ("egresses", "Egress"))
    }
    policies: dict[str, Any] = {direction: rules for direction, rules in given.items() if rules}
    if not policies:
        return {"Version": "0"}  # empties both directions
    return policies if version is None else {**policies, "Version": version}


def _stored(api: Api, group_id: str) -> dict[str, Any]:
    return api.vpc("DescribeSecurityGroupPolicies", {"SecurityGroupId": group_id})["SecurityGroupPolicySet"]


def _create_rules(api: Api, inputs: Properties, _token: str) -> str:
    group_id = inputs["securityGroupId"]
    api.vpc(
        "ModifySecurityGroupPolicies", {"SecurityGroupId": group_id, "SecurityGroupPolicySet": _policies(inputs, None)}
    )
    return group_id


def _read_rules(api: Api, group_id: str, _inputs: Properties) -> Properties | None:
    response = api.find_response("vpc", "DescribeSecurityGroupPolicies", {"SecurityGroupId": group_id})
    if not response:
        return None
    stored = response["SecurityGroupPolicySet"]
    return {
        "securityGroupId": group_id,
        "version": stored["Version"],
        "ingresses": [_rule(rule) for rule in stored.get("Ingress") or []],
        "egresses": [_rule(rule) for rule in stored.get("Egress") or []],
    }


def _rule(policy: dict[str, Any]) -> Properties:
    rule = {name: policy.get(key) or "" for name, key in _POLICY_KEYS}
    rule["protocol"] = str(rule["protocol"]).upper()
    rule["policyIndex"] = policy["PolicyIndex"]
    return rule


def _update_rules(api: Api, group_id: str, old: Properties, new: Properties) -> None:
    version = int(_stored(api, group_id)["Version"])
    for name, direction in (("ingresses", "Ingress"), ("egresses", "Egress")):
        # A modification does not change an absent direction, so the policies of an emptied direction are deleted first.
        if old.get(name) and not new.get(name) and (new.get("ingresses") or new.get("egresses")):
            stored = _stored(api, group_id).get(direction) or []
            api.vpc(
                "DeleteSecurityGroupPolicies",
                {
                    "SecurityGroupId": group_id,
                    "SecurityGroupPolicySet": {direction: [{"PolicyIndex": rule["PolicyIndex"]} for rule in stored]},
                },
            )
            version += 1
    api.vpc(
        "ModifySecurityGroupPolicies",
        {"SecurityGroupId": group_id, "SecurityGroupPolicySet": _policies(new, str(version + 1)), "SortPolicys": True},
    )


def _delete_rules(api: Api, group_id: str, _outputs: Properties) -> None:
    ignore_missing(
        lambda: api.vpc(
            "ModifySecurityGroupPolicies", {"SecurityGroupId": group_id, "SecurityGroupPolicySet": {"Version": "0"}}
        )
    )


_RULE: Final = {
    "action": REQUIRED,
    "policyIndex": COMPUTED,
    **dict.fromkeys(("protocol", "port"), COMPUTED),
    **dict.fromkeys(("cidrBlock", "ipv6CidrBlock", "sourceSecurityId", "description"), OPTIONAL),
    **{name: OPTIONAL for names in _TEMPLATES.values() for name, _ in names},
}

RULE_SET = ResourceType(
    properties={"securityGroupId": FIXED, "ingresses": Property(nested=_RULE), "egresses": Property(nested=_RULE)},
    create=_create_rules,
    read=_read_rules,
    update=_update_rules,
    delete=_delete_rules,
)
