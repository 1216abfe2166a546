"""Tags as the different services write them."""

from __future__ import annotations

from localcloud.rules import tag
from localcloud.services.actions import Call
from localcloud.services.parameters import Parameters

KeyValues = list[dict[str, str]]


def given(parameters: Parameters, name: str = "Tags") -> tag.Tags:
    """Tags[{Key, Value}] of a creating call (clb says TagKey and TagValue)."""
    tags: tag.Tags = {}
    for entry in parameters.each(name):
        key = entry.find_text("Key") if "Key" in entry else entry.find_text("TagKey")
        value = entry.find_text("Value") if "Value" in entry else entry.find_text("TagValue")
        tags[key or ""] = value or ""
    return tags


def specified(parameters: Parameters, resource_type: str) -> tag.Tags:
    """TagSpecification[{ResourceType, Tags}] of the service cvm, for one type of resource."""
    tags: tag.Tags = {}
    for entry in parameters.each("TagSpecification"):
        if entry.text("ResourceType") == resource_type:
            tags |= given(entry)
    return tags


def shown(call: Call, resource_id: str) -> KeyValues:
    """Tags[{Key, Value}] of an answer."""
    return [{"Key": key, "Value": value} for key, value in tag.of(call.tx, resource_id).items()]
