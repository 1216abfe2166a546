"""The tag service. Requests that create resources set the same tags."""

from __future__ import annotations

import re

from localcloud.rules import tag
from localcloud.rules.records import Record, kinds
from localcloud.rules.refusal import InvalidParameterValue, assumed, documented, rule
from localcloud.rules.tag import TagSet
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import page
from localcloud.services.parameters import Parameters

_MODIFY = "651/35322"
CHANGED_TAGS_LIMIT = 10
LISTED_RESOURCES_LIMIT = 50

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

ResourceDescriptionInvalid = rule(
    "InvalidParameterValue.ResourceDescriptionError",
    "A resource must have the form `qcs::<service>:<region>:<account>:<prefix>/<id>` and a kind that supports tags.",
    documented("ModifyResourceTags: Resource in six parts", page=_MODIFY),
)
ResourceUnknown = rule(
    "InvalidParameterValue.ResourceDescriptionError",
    "A resource to tag must exist.",
    assumed("ModifyResourceTags (651/35322) does not document whether the tag service checks the resource"),
)
NothingToChange = rule(
    "MissingParameter",
    "A request must have a non-empty ReplaceTags or DeleteTags.",
    documented("ModifyResourceTags: at least one of the two, not empty", page=_MODIFY),
)
TagBothSetAndRemoved = rule(
    "InvalidParameterValue.DeleteTagsParamError",
    "A request must not set and remove the same key.",
    documented("ModifyResourceTags: no key in both lists", page=_MODIFY),
)
TooManyTagsInRequest = rule(
    "LimitExceeded.TagNumPerRequest",
    "A request can set at most 10 tags and remove at most 10 tags.",
    documented("ModifyResourceTags: at most 10 tags each in ReplaceTags and DeleteTags", page=_MODIFY),
)


def _few(count: int) -> None:
    if count > CHANGED_TAGS_LIMIT:
        raise TooManyTagsInRequest(got=count)


def _resource(call: Call, text: str) -> str:
    """Return the resource ID of a six-part name. Raises: ResourceDescriptionInvalid or ResourceUnknown."""
    found = re.fullmatch(r"qcs:[^:]*:([^:]*):[^:]*:[^:]*:([^:/]*)/([^:]*)", text)
    if found is None or found.groups()[:2] not in RESOURCES:
        raise ResourceDescriptionInvalid(got=text)
    resource_id = found[3]
    if not _exists(call, resource_id):
        raise ResourceUnknown(got=resource_id)
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
def modify_resource_tags(call: Call, given: Parameters) -> None:
    """Set and remove tags of one resource."""
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


@action("tag", "DescribeResourceTagsByResourceIds")
def describe_resource_tags_by_resource_ids(call: Call, given: Parameters) -> Answer:
    """List the tags of resources of one kind."""
    service = given.text("ServiceType")
    given.text("ResourcePrefix")
    given.text("ResourceRegion")
    rows = [
        {"TagKey": key, "TagValue": value, "ResourceId": resource_id, "ServiceType": service}
        for resource_id in given.required_texts("ResourceIds", limit=LISTED_RESOURCES_LIMIT)
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
