"""The tag service. Requests that create resources set the same tags."""

from __future__ import annotations

import re

from localcloud.rules import tag
from localcloud.rules.records import Record, kinds
from localcloud.rules.refusal import InvalidParameterValue, Refusal, assumed, documented
from localcloud.rules.tag import TagSet
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import page

_MODIFY = "651/35322"
PER_REQUEST = 10
RESOURCES_PER_LIST = 50

# Kinds in `qcs::<service>:<region>:<account>:<prefix>/<id>`, with the prefix of their IDs.
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


class ResourceDescriptionInvalid(Refusal):
    """A resource must have the form `qcs::<service>:<region>:<account>:<prefix>/<id>` and a kind that supports tags."""

    code = "InvalidParameterValue.ResourceDescriptionError"
    template = (
        "The resource must have the form qcs::service:region:uin/:prefix/id and a kind that supports tags (got "
        "`{resource}`)."
    )
    source = documented("ModifyResourceTags: Resource in six parts; ResourceDescriptionError", page=_MODIFY)


class ResourceUnknown(Refusal):
    """A resource to tag must exist."""

    code = "InvalidParameterValue.ResourceDescriptionError"
    template = "The resource must exist (got `{resource_id}`)."
    source = assumed("ModifyResourceTags (651/35322) does not document whether the tag service checks the resource")


class NothingToChange(Refusal):
    """A request must have a non-empty ReplaceTags or DeleteTags."""

    code = "MissingParameter"
    template = "The request must have the parameter `ReplaceTags` or `DeleteTags`."
    source = documented("ModifyResourceTags: at least one of the two, not empty", page=_MODIFY)


class TagBothSetAndRemoved(Refusal):
    """A request must not set and remove the same key."""

    code = "InvalidParameterValue.DeleteTagsParamError"
    template = "The key `{key}` must not be in both ReplaceTags and DeleteTags."
    source = documented("ModifyResourceTags: no key in both lists", page=_MODIFY)


class TooManyTagsInRequest(Refusal):
    """A request can set at most 10 tags and remove at most 10 tags."""

    code = "LimitExceeded.TagNumPerRequest"
    template = "The request cannot have more than 10 tags (got {count})."
    source = documented("ModifyResourceTags: at most 10 tags each in ReplaceTags and DeleteTags", page=_MODIFY)


def _few(count: int) -> None:
    if count > PER_REQUEST:
        raise TooManyTagsInRequest(count=count)


def _resource(call: Call, text: str) -> str:
    """Return the resource ID of a six-part name. Raises: ResourceDescriptionInvalid or ResourceUnknown."""
    found = re.fullmatch(r"qcs:[^:]*:([^:]*):[^:]*:[^:]*:([^:/]*)/([^:]*)", text)
    if found is None or found.groups()[:2] not in RESOURCES:
        raise ResourceDescriptionInvalid(resource=text)
    resource_id = found[3]
    if not _exists(call, resource_id):
        raise ResourceUnknown(resource_id=resource_id)
    return resource_id


def _exists(call: Call, resource_id: str) -> bool:
    def has(kind: type[Record]) -> bool:
        return kind is not TagSet and call.tx.find(kind, resource_id) is not None

    return any(has(kind) for kind in kinds().values())


@action(
    "tag",
    "ModifyResourceTags",
    ResourceDescriptionInvalid,
    ResourceUnknown,
    TagBothSetAndRemoved,
    NothingToChange,
    TooManyTagsInRequest,
    *tag.RULES,
)
def modify_resource_tags(call: Call) -> Answer:
    """Set and remove tags of one resource."""
    given = call.parameters
    resource_id = _resource(call, given.text("Resource"))
    replaced = {entry.text("TagKey"): entry.text("TagValue") for entry in given.each("ReplaceTags")}
    removed = tuple(entry.text("TagKey") for entry in given.each("DeleteTags"))
    if not replaced and not removed:
        raise NothingToChange
    _few(len(replaced))
    _few(len(removed))
    for key in removed:
        if key in replaced:
            raise TagBothSetAndRemoved(key=key)
    tag.change(call.tx, resource_id, replaced=replaced, removed=removed)
    return {}


@action("tag", "DescribeResourceTagsByResourceIds")
def describe_resource_tags_by_resource_ids(call: Call) -> Answer:
    """List the tags of resources of one kind."""
    given = call.parameters
    service = given.text("ServiceType")
    given.text("ResourcePrefix")
    given.text("ResourceRegion")
    rows = [
        {"TagKey": key, "TagValue": value, "ResourceId": resource_id, "ServiceType": service}
        for resource_id in given.required_texts("ResourceIds", limit=RESOURCES_PER_LIST)
        for key, value in tag.of(call.tx, resource_id).items()
    ]
    offset, limit = given.find_integer("Offset") or 0, given.find_integer("Limit") or 15
    if offset % limit:
        raise InvalidParameterValue(name="Offset", value=offset, expected="a multiple of Limit")
    return {
        "TotalCount": len(rows),
        "Offset": offset,
        "Limit": limit,
        "Tags": list(page(call, rows, default=15, highest=400)),
    }
