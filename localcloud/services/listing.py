"""Common parts of the list actions (Describe*): selection by IDs and filters, and paging."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from localcloud.rules import address, instance, key_pair, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import (
    IdMalformed,
    InvalidParameterValue,
    Refusal,
    check_count,
    check_range,
    documented,
    rule,
)
from localcloud.services.actions import Answer, Call
from localcloud.services.parameters import Parameters

R = TypeVar("R", bound=Record)
T = TypeVar("T")

Extract = Callable[[R], Iterable[str]]
Filters = Mapping[str, Extract[R]]

LIMIT = 100
DEFAULT = 20
FILTERS = 10
VALUES = 100
_VALUES_OF_INSTANCES = 5

# The form of the IDs in a list parameter: their prefix, and the refusal of another form.
_IDS: Mapping[str, tuple[str, type[Refusal]]] = {
    "AddressIds": ("eip", address.AddressIdMalformed),
    "HaVipIds": ("havip", IdMalformed),
    "InstanceIds": ("ins", instance.InstanceIdMalformed),
    "KeyIds": ("skey", key_pair.KeyPairIdMalformed),
    "NatGatewayIds": ("nat", IdMalformed),
    "RouteTableIds": ("rtb", IdMalformed),
    "SecurityGroupIds": ("sg", IdMalformed),
    "SubnetIds": ("subnet", IdMalformed),
    "VpcIds": ("vpc", IdMalformed),
}

# Filters that match substrings, from the pages of their actions.
_FUZZY = frozenset({"vpc-name"})
UnknownFilter = rule(
    "InvalidParameter.FilterInvalidKey",
    "A filter name must be one that the action documents.",
    documented("DescribeVpcs and other list actions of vpc", page="215/15778"),
)
UnknownInstanceFilter = rule(
    "InvalidFilter",
    "A filter name must be one that the action documents (services cvm and cbs).",
    documented("DescribeInstances and other list actions of cvm and cbs: Filters", page="213/15728"),
)
IdsAndFilters = rule(
    "InvalidParameter.Coexist",
    "A list request cannot have both IDs and filters.",
    documented("DescribeVpcs and other list actions of vpc: not both", page="215/15778"),
)
InstanceIdsAndFilters = rule(
    "InvalidParameter",
    "A list request cannot have both IDs and filters (services cvm and cbs).",
    documented("DescribeInstances: not both; the code is assumed", page="213/15728"),
)
TooManyFilterValues = rule(
    "InvalidFilterValue.LimitExceeded",
    "A request can have at most 10 filters with at most 5 values each (services cvm and cbs).",
    documented("DescribeInstances: Filters", page="213/15728"),
)


def chosen(
    call: Call,
    records: Iterable[R],
    filters: Filters[R],
    *,
    ids: str = "",
    refusal: type[Refusal] = UnknownFilter,
    missing: type[Refusal] | None = None,
    both: bool = False,
    tag_value: bool = False,
    values_limit: int = VALUES,
) -> list[R]:
    """Return the records that have one of the given IDs (if any) and match all filters.

    `both` permits IDs and filters together; `tag_value` permits the filter tag-value. Raises: `missing`, if given, for
    an unknown ID.
    """
    found = list(records)
    given = call.parameters.each("Filters")
    requested = set(call.parameters.texts(ids)) if ids else set[str]()
    if refusal is not UnknownInstanceFilter:
        check_count(ids, len(requested))
    if requested and given and not both:
        raise (InstanceIdsAndFilters if refusal is UnknownInstanceFilter else IdsAndFilters)(ids=ids)
    if requested:
        _check_form(ids, requested)
        found = [record for record in found if record.id in requested]
        for unknown in sorted(requested - {record.id for record in found}):
            if missing is not None:
                raise missing(got=unknown)
    if refusal is UnknownInstanceFilter:
        values_limit = _VALUES_OF_INSTANCES
    _check_filters(refusal, "Filters", len(given), FILTERS)
    for entry in given:
        name = entry.text("Name")
        values = set(entry.required_texts("Values"))
        _check_filters(refusal, f"Filters: {name}", len(values), values_limit)
        tag_value = tag_value or refusal is UnknownInstanceFilter
        extract = _extractor(call, name, filters, refusal, tag_value=tag_value)
        fits = _contains if name in _FUZZY else _is_one_of
        found = [record for record in found if fits(set(extract(record)), values)]
    return found


def listed(
    call: Call, key: str, kind: type[R], show: Callable[[Call, R], Answer], filters: Filters[R], **options: Any
) -> Answer:
    """Return the response with the chosen records of a kind; `options` are those of `chosen`."""
    found = chosen(call, call.tx.all(kind), filters, **options)
    return {"TotalCount": len(found), key: [show(call, one) for one in page(call, found)]}


def matching(given: Parameters, rows: list[Answer], fields: Mapping[str, str]) -> list[Answer]:
    """Return the rows that match all Filters, by the field (a text or a list of texts) that each filter name has."""
    filters = given.each("Filters")
    _check_filters(UnknownInstanceFilter, "Filters", len(filters), FILTERS)
    for entry in filters:
        name, values = entry.text("Name"), set(entry.required_texts("Values"))
        _check_filters(UnknownInstanceFilter, name, len(values), _VALUES_OF_INSTANCES)
        if name not in fields:
            raise UnknownInstanceFilter(got=name, known=", ".join(fields))
        rows = [row for row in rows if values & ({at} if isinstance(at := row[fields[name]], str) else set(at))]
    return rows


def _check_form(ids: str, requested: set[str]) -> None:
    prefix, malformed = _IDS.get(ids, ("", IdMalformed))
    for value in sorted(requested) if prefix else ():
        if not re.fullmatch(rf"{prefix}-[0-9a-z]{{8}}", value):
            raise malformed(name=ids, value=value, prefix=prefix)


def _check_filters(refusal: type[Refusal], name: str, count: int, limit: int) -> None:
    if count > limit and refusal is not UnknownInstanceFilter:
        check_count(name, count, limit)
    if count > limit:
        raise TooManyFilterValues


def _is_one_of(present: set[str], requested: set[str]) -> bool:
    return bool(present & requested)


def _contains(present: set[str], requested: set[str]) -> bool:
    return any(part in text for text in present for part in requested)


def _extractor(call: Call, name: str, filters: Filters[R], refusal: type[Refusal], *, tag_value: bool) -> Extract[R]:
    if name in filters:
        return filters[name]
    if name == "tag-key":
        return lambda record: tag.of(call.tx, record.id).keys()
    if name == "tag-value" and tag_value:
        return lambda record: tag.of(call.tx, record.id).values()
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda record: [value for at, value in tag.of(call.tx, record.id).items() if at == key]
    known = ", ".join((*filters, "tag-key", *(["tag-value"] if tag_value else []), "tag:KEY"))
    raise refusal(got=name, known=known)


def page(call: Call, found: Sequence[T], *, default: int = DEFAULT, highest: int = LIMIT) -> Sequence[T]:
    """Return the rows that Offset and Limit select: integers, or strings in DescribeVpcs and similar actions."""
    offset = check_range("Offset", _number(call, "Offset", 0), 0, 2**63 - 1)
    limit = check_range("Limit", _number(call, "Limit", default), 0, highest)
    return found[offset : offset + limit]


def _number(call: Call, name: str, default: int) -> int:
    value = call.parameters.values.get(name, default)
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise InvalidParameterValue(name=name, value=value, expected="an integer")
        return int(value)
    return int(value)


def flag(value: object) -> list[str]:
    """Return a boolean in the form that filters use."""
    return ["true" if value else "false"]
