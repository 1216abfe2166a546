"""Placement groups (the API says: disaster recover groups)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import InvalidParameterValue, ParameterTooLong, Refusal, check_range, documented
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
QUOTA = 10

# Instances that one group may hold, for each type.
INSTANCES = {"HOST": 50, "SW": 20, "RACK": 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementGroup(Record):
    """Instances that are kept on different hosts, switches or racks."""

    name: str
    type: str
    affinity: int

    @property
    def quota(self) -> int:
        """How many instances it may hold."""
        return INSTANCES[self.type]


class PlacementGroupNotFound(Refusal):
    """A placement group that a request names must exist."""

    code = "ResourceNotFound.InvalidPlacementSet"
    template = "The placement group `{group_id}` does not exist."
    source = documented("ModifyDisasterRecoverGroupAttribute: ResourceNotFound.InvalidPlacementSet", page="213/17809")


class PlacementGroupUnknown(Refusal):
    """A placement group that an instance is created in or moved to must exist."""

    code = "FailedOperation.DisasterRecoverGroupNotFound"
    template = "The placement group `{group_id}` does not exist."
    source = documented("RunInstances: FailedOperation.DisasterRecoverGroupNotFound", page="213/15730")


class PlacementGroupQuota(Refusal):
    """A region holds at most 10 placement groups."""

    code = "ResourceInsufficient.InsufficientGroupQuota"
    template = "The number of placement groups has reached the limit {limit}."
    source = documented("DescribeDisasterRecoverGroupQuota: GroupQuota 10; code: the creating page's", page="213/17811")


class PlacementAffinityFalls(Refusal):
    """A placement group's affinity is only raised."""

    code = "InvalidParameterValue.Range"
    template = "The affinity {present} of `{group_id}` can't become {wanted}: it is only raised."
    source = documented("ModifyDisasterRecoverGroupAttribute: Affinity, only from small to large", page="213/17809")


class PlacementGroupNotEmpty(Refusal):
    """A placement group with an instance in it is not deleted."""

    code = "FailedOperation.PlacementSetNotEmpty"
    template = "The placement group `{group_id}` is not empty: it holds `{user}`."
    source = documented("DeleteDisasterRecoverGroups: only empty groups", page="213/17812")


class PlacementGroupFull(Refusal):
    """A placement group holds as many instances as its type allows."""

    code = "ResourceInsufficient.DisasterRecoverGroupCvmQuota"
    template = "The placement group `{group_id}` can't hold more than {quota} instances."
    source = documented("DescribeDisasterRecoverGroupQuota: 50 HOST, 20 SW, 30 RACK", page="213/17811")


def get(tx: Transaction, group_id: str) -> PlacementGroup:
    """The group. Raises PlacementGroupNotFound."""
    found = tx.find(PlacementGroup, group_id)
    if found is None:
        raise PlacementGroupNotFound(group_id=group_id)
    return found


def get_for_instance(tx: Transaction, group_id: str) -> PlacementGroup:
    """The group. Raises PlacementGroupUnknown."""
    found = tx.find(PlacementGroup, group_id)
    if found is None:
        raise PlacementGroupUnknown(group_id=group_id)
    return found


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_LIMIT:
        raise ParameterTooLong(name="Name", limit=NAME_LIMIT)


def create(tx: Transaction, *, name: str, kind: str, affinity: int, tags: tag.Tags) -> PlacementGroup:
    """A new, empty group."""
    _check_name(name)
    if kind not in INSTANCES:
        raise InvalidParameterValue(name="Type", value=kind, wanted="HOST, SW or RACK")
    check_range("Affinity", affinity, 1, 10)
    if len(tx.all(PlacementGroup)) >= QUOTA:
        raise PlacementGroupQuota(limit=QUOTA)
    group = tx.put(
        PlacementGroup(id=tx.new_id("ps"), region=tx.region, created=tx.now, name=name, type=kind, affinity=affinity)
    )
    tag.attach(tx, group.id, tags)
    return group


def change(tx: Transaction, group_id: str, *, name: str | None, affinity: int | None) -> None:
    """Change what is given."""
    group = get(tx, group_id)
    if name is not None:
        _check_name(name)
    if affinity is not None:
        check_range("Affinity", affinity, 1, 10)
        if affinity < group.affinity:
            raise PlacementAffinityFalls(group_id=group_id, present=group.affinity, wanted=affinity)
    tx.put(
        replace(
            group,
            name=group.name if name is None else name,
            affinity=group.affinity if affinity is None else affinity,
        )
    )


def members(tx: Transaction, group: PlacementGroup) -> list[str]:
    """Ids of its instances."""
    return references.users(tx, group)


def check_room(tx: Transaction, group: PlacementGroup, arriving: int) -> None:
    """Raises PlacementGroupFull."""
    if len(members(tx, group)) + arriving > group.quota:
        raise PlacementGroupFull(group_id=group.id, quota=group.quota)


def delete(tx: Transaction, group_id: str) -> None:
    """Remove an empty group."""
    group = get(tx, group_id)
    for user in members(tx, group):
        raise PlacementGroupNotEmpty(group_id=group_id, user=user)
    tag.detach_all(tx, group_id)
    tx.delete(group)
