"""Alarm notices: the receivers of alarms and the methods of delivery."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from localcloud.rules import tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import documented, rule
from localcloud.rules.transaction import Transaction

_CREATE_POLICY, _CREATE_NOTICE = "248/51287", "248/51288"
_NAME_LIMIT = 60

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNotice(Record):
    """Receivers and methods of delivery. The receivers are stored as given."""

    name: str
    type: str  # ALARM, OK, ALL
    language: str
    users: tuple[Document, ...] = ()
    urls: tuple[Document, ...] = ()
    logs: tuple[Document, ...] = ()
    updated: float = 0.0


NoticeNotFound = rule(
    "ResourceNotFound",
    "NoticeId must identify an existing alarm notice.",
    documented("CreateAlarmNotice and other actions on alarm notices", page=_CREATE_NOTICE),
)
NameTooLong = rule(
    "InvalidParameterValue",
    "The name of an alarm policy or notice must have 1 to 60 characters.",
    documented("CreateAlarmPolicy: PolicyName, CreateAlarmNotice: Name, at most 60", page=_CREATE_POLICY),
)
ReceiversInvalid = rule(
    "InvalidParameterValue",
    "The receivers of a notice must be valid and within their documented numbers.",
    documented("CreateAlarmNotice: UserNotice, URLNotice, at most 5 and 6, and 1 for CLS", page=_CREATE_NOTICE),
)

_WAYS = frozenset({"EMAIL", "SMS", "CALL", "WECHAT", "RTX"})
_CALLS: tuple[tuple[str, Collection[object]], ...] = (
    ("PhoneCircleTimes", range(1, 6)),
    ("PhoneInnerInterval", range(60, 901)),
    ("PhoneCircleInterval", range(60, 901)),
    ("PhoneCallType", ("SYNC", "CIRCLE")),
)
_DAY_S = range(86_400)
_URL_LIMIT = 256
_MOST = (("UserNotices", 5), ("URLNotices", 6), ("CLSNotices", 1))


def _check_receivers(notice: AlarmNotice) -> None:
    given = dict(zip((name for name, _ in _MOST), (notice.users, notice.urls, notice.logs), strict=True))
    for name, most in _MOST:
        if len(given[name]) > most:
            raise ReceiversInvalid(name=name, value=len(given[name]))
    if notice.language not in {"zh-CN", "en-US"}:
        raise ReceiversInvalid(name="NoticeLanguage", value=notice.language)
    for user in notice.users:
        if user.get("ReceiverType") not in {"USER", "GROUP"}:
            raise ReceiversInvalid(name="ReceiverType", value=user.get("ReceiverType"))
        if not set(user.get("NoticeWay", ())) <= _WAYS:
            raise ReceiversInvalid(name="NoticeWay", value=user["NoticeWay"])
        for name, allowed in _CALLS:
            if user.get(name) and user[name] not in allowed:
                raise ReceiversInvalid(name=name, value=user[name])
    for one in notice.urls:
        if not re.match(r"https?://", one.get("URL", "")) or len(one["URL"]) > _URL_LIMIT:
            raise ReceiversInvalid(name="URL", value=one.get("URL"))
    for receiver in (*notice.users, *notice.urls):
        if not set(receiver.get("Weekday", ())) <= set(range(1, 8)):
            raise ReceiversInvalid(name="Weekday", value=receiver["Weekday"])
        for name in ("StartTime", "EndTime"):
            if receiver.get(name, 0) not in _DAY_S:
                raise ReceiversInvalid(name=name, value=receiver[name])


def get(tx: Transaction, notice_id: str) -> AlarmNotice:
    return tx.get(AlarmNotice, notice_id, NoticeNotFound)


def check_name(name: str) -> None:
    if not 1 <= len(name) <= _NAME_LIMIT:
        raise NameTooLong(got=name)


def create(tx: Transaction, requested: AlarmNotice, tags: tag.Tags) -> AlarmNotice:
    check_name(requested.name)
    _check_receivers(requested)
    made = tx.put(replace(requested, id=tx.new_id("notice"), created=tx.now, updated=tx.now))
    tag.attach(tx, made.id, tags)
    return made


def change(tx: Transaction, changed: AlarmNotice) -> None:
    """ModifyAlarmNotice: replace all attributes of the notice."""
    present = get(tx, changed.id)
    check_name(changed.name)
    _check_receivers(changed)
    tx.put(replace(changed, created=present.created, updated=tx.now))
