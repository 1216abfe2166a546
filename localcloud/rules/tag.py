"""Tags. The tag service and the requests that create resources use the same records."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TypeVar

from localcloud.rules.records import Record
from localcloud.rules.refusal import documented, rule
from localcloud.rules.transaction import Transaction

Tags = dict[str, str]
R = TypeVar("R", bound=Record)

TAGS_LIMIT = 50
KEY_LIMIT = 127
VALUE_LIMIT = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSet(Record):
    """All tags of one resource. The record has the ID of the resource."""

    tags: Tags


_LIMITS = "651/13354"

_KEY_LENGTH = documented("tag limits: a key has 1 to 127 characters", page=_LIMITS)
_CHARACTERS = documented("tag limits: characters of keys and values", page=_LIMITS)
_VALUE_LENGTH = documented("tag limits: a value has 1 to 255 characters", page=_LIMITS)
TooManyTags = rule(
    "LimitExceeded.ResourceAttachedTags",
    "A resource can have at most 50 tags.",
    documented("tag limits: at most 50 on a resource", page=_LIMITS),
)
TagKeyEmpty = rule("InvalidParameterValue.TagKeyEmpty", "A tag key must not be empty.", _KEY_LENGTH)
TagKeyTooLong = rule(
    "InvalidParameterValue.TagKeyLengthExceeded", "A tag key must not exceed 127 characters.", _KEY_LENGTH
)
TagKeyIllegal = rule(
    "InvalidParameterValue.TagKeyCharacterIllegal",
    "A tag key must consist of Chinese and English letters, digits, inner spaces, and `+-=._:/@()[],;><`.",
    _CHARACTERS,
)
TagKeyReserved = rule(
    "InvalidParameter.ReservedTagKey",
    "A tag key must not begin with `qcs:`, `project`, `项目`, `qcloud` or `tencent`, which are reserved.",
    documented("tag limits: reserved keys; qcloud, tencent: error text of ModifyResourceTags", page=_LIMITS),
)
TagDuplicate = rule(
    "InvalidParameterValue.TagDuplicateKey",
    "A tag key must occur only once in a request.",
    documented("CreateVpc and other actions that create resources: error code", page="215/15774"),
)
TagValueEmpty = rule("InvalidParameterValue.TagValueEmpty", "A tag value must not be empty.", _VALUE_LENGTH)
TagValueTooLong = rule(
    "InvalidParameterValue.TagValueLengthExceeded", "A tag value must not exceed 255 characters.", _VALUE_LENGTH
)
TagValueIllegal = rule(
    "InvalidParameterValue.TagValueCharacterIllegal",
    "A tag value must consist of the same characters as a tag key.",
    _CHARACTERS,
)

# The rules for tags in any request.
RULES = (
    TooManyTags,
    TagKeyEmpty,
    TagKeyTooLong,
    TagKeyIllegal,
    TagKeyReserved,
    TagDuplicate,
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
            raise TagKeyTooLong(got=key)
        if key.startswith(_RESERVED):
            raise TagKeyReserved(got=key)
        if not _TEXT.fullmatch(key):
            raise TagKeyIllegal(got=key)
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
    check(replaced)
    tags = {key: value for key, value in of(tx, resource_id).items() if key not in removed} | replaced
    if len(tags) > TAGS_LIMIT:
        raise TooManyTags(got=len(tags), resource_id=resource_id)
    known = tx.find(TagSet, resource_id)
    if tags:
        created = tx.now if known is None else known.created
        tx.put(TagSet(id=resource_id, region=tx.region, created=created, tags=tags))
    elif known is not None:
        tx.delete(known)


def create(tx: Transaction, prefix: str, requested: R, tags: Tags) -> R:
    """Add a new resource with an ID, and its tags."""
    made = tx.put(replace(requested, id=tx.new_id(prefix), region=tx.region, created=tx.now))
    attach(tx, made.id, tags)
    return made


def delete(tx: Transaction, deleted: Record) -> None:
    known = tx.find(TagSet, deleted.id)
    if known is not None:
        tx.delete(known)
    tx.delete(deleted)
