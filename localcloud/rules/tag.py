"""Tags: one store behind every path (the creating calls, and the tag service)."""

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
    """All tags of one resource; the record's id is the resource's."""

    tags: Tags


_LIMITS = "651/13354"


class TooManyTags(Refusal):
    """A resource has at most 50 tags."""

    code = "LimitExceeded.ResourceAttachedTags"
    template = "The resource `{resource_id}` would have {count} tags; the limit is 50."
    source = documented("limits of tags: at most 50 on a resource", page=_LIMITS)


class TagKeyEmpty(Refusal):
    """A tag's key is not empty."""

    code = "InvalidParameterValue.TagKeyEmpty"
    template = "The tag key is empty."
    source = documented("limits of tags: a key has 1 to 127 characters", page=_LIMITS)


class TagKeyTooLong(Refusal):
    """A tag's key has at most 127 characters."""

    code = "InvalidParameterValue.TagKeyLengthExceeded"
    template = "The tag key `{key}` is longer than 127 characters."
    source = documented("limits of tags: a key has 1 to 127 characters", page=_LIMITS)


class TagKeyIllegal(Refusal):
    """A tag's key has Chinese and English letters, digits, inner spaces, and `+-=._:/@()[],;><` alone."""

    code = "InvalidParameterValue.TagKeyCharacterIllegal"
    template = "The tag key `{key}` has a character that a tag can't have, or a space at an end."
    source = documented("limits of tags: characters of keys and values", page=_LIMITS)


class TagKeyReserved(Refusal):
    """Keys that begin with `qcs:`, `project`, `项目`, `qcloud` or `tencent` belong to the system."""

    code = "InvalidParameter.ReservedTagKey"
    template = "The tag key `{key}` is reserved by the system."
    source = documented("limits of tags: reserved keys; qcloud, tencent: ModifyResourceTags' error text", page=_LIMITS)


class TagValueEmpty(Refusal):
    """A tag's value is not empty."""

    code = "InvalidParameterValue.TagValueEmpty"
    template = "The value of tag `{key}` is empty."
    source = documented("limits of tags: a value has 1 to 255 characters", page=_LIMITS)


class TagValueTooLong(Refusal):
    """A tag's value has at most 255 characters."""

    code = "InvalidParameterValue.TagValueLengthExceeded"
    template = "The value of tag `{key}` is longer than 255 characters."
    source = documented("limits of tags: a value has 1 to 255 characters", page=_LIMITS)


class TagValueIllegal(Refusal):
    """A tag's value has the characters that a key may have."""

    code = "InvalidParameterValue.TagValueCharacterIllegal"
    template = "The value of tag `{key}` has a character that a tag can't have, or a space at an end."
    source = documented("limits of tags: characters of keys and values", page=_LIMITS)


# What any tag that is set may be refused for.
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
    """Raises the refusal that fits."""
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
    """A resource's tags, in the order of their keys."""
    found = tx.find(TagSet, resource_id)
    return dict(sorted(found.tags.items())) if found is not None else {}


def attach(tx: Transaction, resource_id: str, tags: Tags) -> None:
    """Set these tags, keeping others."""
    change(tx, resource_id, replaced=tags, removed=())


def change(tx: Transaction, resource_id: str, *, replaced: Tags, removed: tuple[str, ...]) -> None:
    """Set some tags and take others away."""
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
    """Forget a resource's tags, because the resource goes."""
    known = tx.find(TagSet, resource_id)
    if known is not None:
        tx.delete(known)
