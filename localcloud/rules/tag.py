"""Tags. The tag service and the requests that create resources use the same records."""

from __future__ import annotations

import re
from dataclasses import dataclass

from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, documented
from localcloud.rules.transaction import Transaction

Tags = dict[str, str]

PER_RESOURCE = 50
KEY_LIMIT = 127
VALUE_LIMIT = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSet(Record):
    """All tags of one resource. The record has the ID of the resource."""

    tags: Tags


_LIMITS = "651/13354"


class TooManyTags(Refusal):
    """A resource can have at most 50 tags."""

    code = "LimitExceeded.ResourceAttachedTags"
    template = "The resource `{resource_id}` cannot have more than 50 tags (got {count})."
    source = documented("tag limits: at most 50 on a resource", page=_LIMITS)


class TagKeyEmpty(Refusal):
    """A tag key must not be empty."""

    code = "InvalidParameterValue.TagKeyEmpty"
    template = "The tag key must not be empty."
    source = documented("tag limits: a key has 1 to 127 characters", page=_LIMITS)


class TagKeyTooLong(Refusal):
    """A tag key must not exceed 127 characters."""

    code = "InvalidParameterValue.TagKeyLengthExceeded"
    template = "The tag key must not be longer than 127 characters (got `{key}`)."
    source = documented("tag limits: a key has 1 to 127 characters", page=_LIMITS)


class TagKeyIllegal(Refusal):
    """A tag key must consist of Chinese and English letters, digits, inner spaces, and `+-=._:/@()[],;><`."""

    code = "InvalidParameterValue.TagKeyCharacterIllegal"
    template = "The tag key must consist of letters, digits, inner spaces and `+-=._:/@()[],;><` (got `{key}`)."
    source = documented("tag limits: characters of keys and values", page=_LIMITS)


class TagKeyReserved(Refusal):
    """A tag key must not begin with `qcs:`, `project`, `项目`, `qcloud` or `tencent`, which are reserved."""

    code = "InvalidParameter.ReservedTagKey"
    template = "The tag key must not be reserved by the system (got `{key}`)."
    source = documented("tag limits: reserved keys; qcloud, tencent: error text of ModifyResourceTags", page=_LIMITS)


class TagValueEmpty(Refusal):
    """A tag value must not be empty."""

    code = "InvalidParameterValue.TagValueEmpty"
    template = "The value of tag `{key}` must not be empty."
    source = documented("tag limits: a value has 1 to 255 characters", page=_LIMITS)


class TagValueTooLong(Refusal):
    """A tag value must not exceed 255 characters."""

    code = "InvalidParameterValue.TagValueLengthExceeded"
    template = "The value of tag `{key}` must not be longer than 255 characters."
    source = documented("tag limits: a value has 1 to 255 characters", page=_LIMITS)


class TagValueIllegal(Refusal):
    """A tag value must consist of the same characters as a tag key."""

    code = "InvalidParameterValue.TagValueCharacterIllegal"
    template = "The value of tag `{key}` must consist of letters, digits, inner spaces and `+-=._:/@()[],;><`."
    source = documented("tag limits: characters of keys and values", page=_LIMITS)


# The rules for tags in any request.
RULES = (
    TooManyTags,
    TagKeyEmpty,
    TagKeyTooLong,
    TagKeyIllegal,
    TagKeyReserved,
    TagValueEmpty,
    TagValueTooLong,
    TagValueIllegal,
)
_RESERVED = ("qcs:", "project", "项目", "qcloud", "tencent")
_MARK = r"[0-9A-Za-z\u4e00-\u9fff+\-=._:/@()\[\],;><＋－＝／＠（）【】：]"
_TEXT = re.compile(rf"{_MARK}(?:(?:{_MARK}| )*{_MARK})?")


def check(tags: Tags) -> None:
    """Raises: the refusal of an invalid tag."""
    for key, value in tags.items():
        if not key:
            raise TagKeyEmpty
        if len(key) > KEY_LIMIT:
            raise TagKeyTooLong(key=key)
        if key.startswith(_RESERVED):
            raise TagKeyReserved(key=key)
        if not _TEXT.fullmatch(key):
            raise TagKeyIllegal(key=key)
        if not value:
            raise TagValueEmpty(key=key)
        if len(value) > VALUE_LIMIT:
            raise TagValueTooLong(key=key)
        if not _TEXT.fullmatch(value):
            raise TagValueIllegal(key=key)


def of(tx: Transaction, resource_id: str) -> Tags:
    """Return the tags of a resource, sorted by key."""
    found = tx.find(TagSet, resource_id)
    return dict(sorted(found.tags.items())) if found is not None else {}


def attach(tx: Transaction, resource_id: str, tags: Tags) -> None:
    """Set tags; other tags are unchanged."""
    change(tx, resource_id, replaced=tags, removed=())


def change(tx: Transaction, resource_id: str, *, replaced: Tags, removed: tuple[str, ...]) -> None:
    """Set and remove tags."""
    check(replaced)
    tags = {key: value for key, value in of(tx, resource_id).items() if key not in removed} | replaced
    if len(tags) > PER_RESOURCE:
        raise TooManyTags(resource_id=resource_id, count=len(tags))
    known = tx.find(TagSet, resource_id)
    if tags:
        created = tx.now if known is None else known.created
        tx.put(TagSet(id=resource_id, region=tx.region, created=created, tags=tags))
    elif known is not None:
        tx.delete(known)


def detach_all(tx: Transaction, resource_id: str) -> None:
    """Delete the tags of a resource that is being deleted."""
    known = tx.find(TagSet, resource_id)
    if known is not None:
        tx.delete(known)
