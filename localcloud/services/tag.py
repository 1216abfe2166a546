"""The tag service: the same tags as the creating calls'."""

from __future__ import annotations

import re

from localcloud.rules import tag
from localcloud.rules.records import Record, kinds
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.tag import TagSet
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import page

_ERRORS = documented("the SDK's errorcodes.py (tag)")

# What `qcs::<service>:<region>:<account>:<prefix>/<id>` may name: the prefix of the ids that go with it.
RESOURCES = {
    ("vpc", "vpc"): "vpc-",
    ("vpc", "subnet"): "subnet-",
    ("vpc", "rtb"): "rtb-",
    ("vpc", "nat"): "nat-",
    ("vpc", "eip"): "eip-",
    ("vpc", "eni"): "eni-",
    ("vpc", "havip"): "havip-",
    ("cvm", "sg"): "sg-",
    ("cvm", "keypair"): "skey-",
    ("cvm", "ps"): "ps-",
    ("cvm", "instance"): "ins-",
    ("cvm", "volume"): "disk-",
    ("cvm", "disk"): "disk-",
    ("clb", "clb"): "lb-",
    ("monitor", "policy"): "policy-",
}


class ResourceDescriptionWrong(Refusal):
    """A resource is written `qcs::<service>:<region>:<account>:<prefix>/<id>`."""

    code = "InvalidParameterValue.ResourceDescriptionError"
    template = "The resource `{resource}` is not of the form qcs::service:region:uin/:prefix/id."
    source = _ERRORS


class ServiceTypeUnknown(Refusal):
    """A resource's service and prefix are ones that have tags."""

    code = "InvalidParameterValue.ResourcePrefixInvalid"
    template = "The service `{service}` has no taggable resource `{prefix}`."
    source = _ERRORS


class ResourceIdWrong(Refusal):
    """A tagged resource exists."""

    code = "InvalidParameterValue.ResourceIdInvalid"
    template = "The resource `{resource_id}` does not exist."
    source = _ERRORS


class NothingToChange(Refusal):
    """ReplaceTags or DeleteTags is given, and is not an empty list."""

    code = "MissingParameter"
    template = "The request is missing a required parameter: `ReplaceTags` or `DeleteTags`."
    source = documented("the page of ModifyResourceTags")


class TagBothSetAndRemoved(Refusal):
    """A key is not set and removed by one request."""

    code = "InvalidParameterValue.DeleteTagsParamError"
    template = "The key `{key}` stands in both ReplaceTags and DeleteTags."
    source = _ERRORS


def _resource(call: Call, text: str) -> str:
    """The id of the resource that a six-part name names. Raises the refusal that fits."""
    found = re.fullmatch(r"qcs:[^:]*:([^:]*):[^:]*:[^:]*:([^:/]*)/([^:]*)", text)
    if found is None:
        raise ResourceDescriptionWrong(resource=text)
    service, prefix, resource_id = found.groups()
    if (service, prefix) not in RESOURCES:
        raise ServiceTypeUnknown(service=service, prefix=prefix)
    if not _exists(call, resource_id):
        raise ResourceIdWrong(resource_id=resource_id)
    return resource_id


def _exists(call: Call, resource_id: str) -> bool:
    def has(kind: type[Record]) -> bool:
        return kind is not TagSet and call.tx.find(kind, resource_id) is not None

    return any(has(kind) for kind in kinds().values())


@action(
    "tag",
    "ModifyResourceTags",
    ResourceDescriptionWrong,
    ServiceTypeUnknown,
    ResourceIdWrong,
    TagBothSetAndRemoved,
    NothingToChange,
    tag.TooManyTags,
    tag.TagKeyEmpty,
    tag.TagKeyTooLong,
    tag.TagValueTooLong,
    tag.TagKeyReserved,
)
def modify_resource_tags(call: Call) -> Answer:
    """Set and remove tags of one resource."""
    given = call.parameters
    resource_id = _resource(call, given.text("Resource"))
    replaced = {entry.text("TagKey"): entry.text("TagValue") for entry in given.each("ReplaceTags")}
    removed = tuple(entry.text("TagKey") for entry in given.each("DeleteTags"))
    if not replaced and not removed:
        raise NothingToChange
    for key in removed:
        if key in replaced:
            raise TagBothSetAndRemoved(key=key)
    tag.change(call.tx, resource_id, replaced=replaced, removed=removed)
    return {}


@action("tag", "TagResources", ResourceDescriptionWrong, ServiceTypeUnknown, ResourceIdWrong, tag.TooManyTags)
def tag_resources(call: Call) -> Answer:
    """Set tags of several resources."""
    given = call.parameters
    tags = {entry.text("TagKey"): entry.text("TagValue") for entry in given.required_each("Tags")}
    for resource in given.required_texts("ResourceList"):
        tag.attach(call.tx, _resource(call, resource), tags)
    return {"FailedResources": []}


@action("tag", "UnTagResources", ResourceDescriptionWrong, ServiceTypeUnknown, ResourceIdWrong)
def un_tag_resources(call: Call) -> Answer:
    """Remove tags of several resources."""
    given = call.parameters
    keys = given.required_texts("TagKeys")
    for resource in given.required_texts("ResourceList"):
        tag.change(call.tx, _resource(call, resource), replaced={}, removed=keys)
    return {"FailedResources": []}


@action("tag", "DescribeResourceTagsByResourceIds")
def describe_resource_tags_by_resource_ids(call: Call) -> Answer:
    """List the tags of resources of one kind."""
    given = call.parameters
    service = given.text("ServiceType")
    given.text("ResourcePrefix")
    given.text("ResourceRegion")
    rows = [
        {"TagKey": key, "TagValue": value, "ResourceId": resource_id, "ServiceType": service}
        for resource_id in given.required_texts("ResourceIds")
        for key, value in tag.of(call.tx, resource_id).items()
    ]
    return {
        "TotalCount": len(rows),
        "Offset": given.find_integer("Offset") or 0,
        "Limit": given.find_integer("Limit") or 15,
        "Tags": list(page(call, rows, default=15, highest=400)),
    }
