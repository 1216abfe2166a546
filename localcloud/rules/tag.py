"""Tags: one store behind every path (the creating calls, and the tag service)."""

from __future__ import annotations

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


class TooManyTags(Refusal):
    """A resource has at most 50 tags."""

    code = "LimitExceeded.ResourceAttachedTags"
    template = "The resource `{resource_id}` would have {count} tags; the limit is 50."
    source = documented("product/651/13354, limits of tags")


class TagKeyEmpty(Refusal):
    """A tag's key is not empty."""

    code = "InvalidParameterValue.TagKeyEmpty"
    template = "The tag key is empty."
    source = documented("the SDK's errorcodes.py (tag)")


class TagKeyTooLong(Refusal):
    """A tag's key has at most 127 characters."""

    code = "InvalidParameterValue.TagKeyLengthExceeded"
    template = "The tag key `{key}` is longer than 127 characters."
    source = documented("product/651/13354, limits of tags")


class TagValueTooLong(Refusal):
    """A tag's value has at most 255 characters."""

    code = "InvalidParameterValue.TagValueLengthExceeded"
    template = "The value of tag `{key}` is longer than 255 characters."
    source = documented("product/651/13354, limits of tags")


class TagKeyReserved(Refusal):
    """Keys that begin with qcloud, tencent or project belong to the system."""

    code = "InvalidParameterValue.ReservedTagKey"
    template = "The tag key `{key}` is reserved by the system."
    source = documented("the SDK's errorcodes.py (tag)")


def _check(tags: Tags) -> None:
    for key, value in tags.items():
        if not key:
            raise TagKeyEmpty
        if len(key) > KEY_LIMIT:
            raise TagKeyTooLong(key=key)
        if len(value) > VALUE_LIMIT:
            raise TagValueTooLong(key=key)
        if key in {"qcloud", "tencent", "project"}:
            raise TagKeyReserved(key=key)


def of(tx: Transaction, resource_id: str) -> Tags:
    """A resource's tags, in the order of their keys."""
    found = tx.find(TagSet, resource_id)
    return dict(sorted(found.tags.items())) if found is not None else {}


def attach(tx: Transaction, resource_id: str, tags: Tags) -> None:
    """Set these tags, keeping others."""
    change(tx, resource_id, replaced=tags, removed=())


def change(tx: Transaction, resource_id: str, *, replaced: Tags, removed: tuple[str, ...]) -> None:
    """Set some tags and take others away."""
    _check(replaced)
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
