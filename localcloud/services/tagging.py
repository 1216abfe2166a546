"""Tags in the formats of the different services."""

from __future__ import annotations

from localcloud.rules import tag
from localcloud.rules.refusal import InvalidParameterValue, Refusal, documented, rule
from localcloud.services.actions import Call
from localcloud.services.parameters import Parameters

KeyValues = list[dict[str, str]]

# Resource types in TagSpecification of the service cvm (RunInstances: TagSpecification, 213/15730).
_RESOURCE_TYPES = ("instance", "host", "image", "keypair", "ps", "hpc")
_RUN_INSTANCES = documented("RunInstances: TagSpecification; tag limits: 651/13354", page="213/15730")
CvmTagKeyIllegal = rule(
    "FailedOperation.IllegalTagKey",
    "A tag key in TagSpecification must satisfy the rules for tag keys (service cvm).",
    _RUN_INSTANCES,
)
CvmTagValueIllegal = rule(
    "FailedOperation.IllegalTagValue",
    "A tag value in TagSpecification must satisfy the rules for tag values (service cvm).",
    _RUN_INSTANCES,
)
CvmTagKeyReserved = rule(
    "FailedOperation.TagKeyReserved",
    "A tag key in TagSpecification must not be reserved for the system (service cvm).",
    _RUN_INSTANCES,
)
CvmTagDuplicate = rule(
    "InvalidParameterValue.DuplicateTags",
    "A tag key must occur only once in TagSpecification (service cvm).",
    documented("RunInstances", page="213/15730"),
)

MACHINE_RULES = (CvmTagKeyIllegal, CvmTagValueIllegal, CvmTagKeyReserved, CvmTagDuplicate, tag.TooManyTags)
_CVM_REFUSALS: dict[type[Refusal], type[Refusal]] = {
    tag.TagKeyEmpty: CvmTagKeyIllegal,
    tag.TagKeyTooLong: CvmTagKeyIllegal,
    tag.TagKeyIllegal: CvmTagKeyIllegal,
    tag.TagKeyReserved: CvmTagKeyReserved,
    tag.TagValueEmpty: CvmTagValueIllegal,
    tag.TagValueTooLong: CvmTagValueIllegal,
    tag.TagValueIllegal: CvmTagValueIllegal,
}


def given(parameters: Parameters, name: str = "Tags") -> tag.Tags:
    """Return Tags[{Key, Value}] of a request that creates a resource (TagKey and TagValue in clb)."""
    tags: tag.Tags = {}
    for entry in parameters.each(name):
        key = entry.find_text("Key") if "Key" in entry else entry.find_text("TagKey")
        value = entry.find_text("Value") if "Value" in entry else entry.find_text("TagValue")
        if key in tags:
            raise tag.TagDuplicate(key=key)
        tags[key or ""] = value or ""
    return tags


def specified(parameters: Parameters, resource_type: str) -> tag.Tags:
    """Return TagSpecification[{ResourceType, Tags}] of the service cvm for one resource type. It has separate error
    codes.
    """
    tags: tag.Tags = {}
    for entry in parameters.each("TagSpecification"):
        named = entry.text("ResourceType")
        if named not in _RESOURCE_TYPES:
            raise InvalidParameterValue(
                name="ResourceType", value=named, expected=f"one of {', '.join(_RESOURCE_TYPES)}"
            )
        for one in entry.each("Tags"):
            key, value = one.text("Key"), one.text("Value")
            if named == resource_type and key in tags:
                raise CvmTagDuplicate(key=key)
            if named == resource_type:
                tags[key] = value
    try:
        tag.check(tags)
    except Refusal as refused:
        raise _CVM_REFUSALS[type(refused)](message=refused.message) from None
    return tags


def shown(call: Call, resource_id: str) -> KeyValues:
    return [{"Key": key, "Value": value} for key, value in tag.of(call.tx, resource_id).items()]
