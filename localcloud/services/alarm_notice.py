"""Alarm notices (service monitor)."""

from __future__ import annotations

from localcloud.rules import alarm, alarm_notice, tag
from localcloud.rules.alarm_notice import AlarmNotice, Document
from localcloud.rules.records import beijing_time
from localcloud.rules.refusal import InvalidParameterValue
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call
from localcloud.services.monitor import ACCOUNT, monitor_action, numbered_page
from localcloud.services.parameters import Parameters

_WRITE = (alarm_notice.NameTooLong, alarm_notice.ReceiversInvalid)


def show(call: Call, notice: AlarmNotice) -> Answer:
    return {
        "Id": notice.id,
        "Name": notice.name,
        "UpdatedAt": beijing_time(notice.updated),
        "UpdatedBy": ACCOUNT,
        "NoticeType": notice.type,
        "UserNotices": list(notice.users),
        "URLNotices": list(notice.urls),
        "NoticeLanguage": notice.language,
        "PolicyIds": alarm.senders(call.tx, notice.id),
        "CLSNotices": list(notice.logs),
        "Tags": tagging.shown(call, notice.id),
    }


def documents(given: Parameters, name: str) -> tuple[Document, ...]:
    return tuple(dict(entry.values) for entry in given.each(name))


def _notice(given: Parameters, notice_id: str) -> AlarmNotice:
    kind = given.text("NoticeType")
    if kind not in {"ALARM", "OK", "ALL"}:
        raise InvalidParameterValue(name="NoticeType", value=kind, expected="ALARM, OK or ALL")
    return AlarmNotice(
        id=notice_id,
        name=given.text("Name"),
        type=kind,
        language=given.text("NoticeLanguage"),
        users=documents(given, "UserNotices"),
        urls=documents(given, "URLNotices"),
        logs=documents(given, "CLSNotices"),
    )


@monitor_action("CreateAlarmNotice", *_WRITE, *tag.RULES)
def create_alarm_notice(call: Call, given: Parameters) -> Answer:
    """Create a notice."""
    return {"NoticeId": alarm_notice.create(call.tx, _notice(given, ""), tagging.given(given)).id}


@monitor_action("DescribeAlarmNotices")
def describe_alarm_notices(call: Call, given: Parameters) -> Answer:
    """List notices."""
    order, requested, name = given.text("Order"), given.texts("NoticeIds"), given.find_text("Name")
    given.integer("PageNumber")
    given.integer("PageSize")
    found = [
        notice
        for notice in call.tx.all(AlarmNotice)
        if (not requested or notice.id in requested) and (not name or name in notice.name)
    ]
    found.sort(key=lambda one: one.updated, reverse=order.upper() == "DESC")
    rows = [show(call, notice) for notice in numbered_page(given, found, highest=200)]
    return {"TotalCount": len(found), "Notices": rows}


@monitor_action("ModifyAlarmNotice", alarm_notice.NoticeNotFound, *_WRITE)
def modify_alarm_notice(call: Call, given: Parameters) -> None:
    """Replace all attributes of a notice."""
    alarm_notice.change(call.tx, _notice(given, given.text("NoticeId")))


@monitor_action("DeleteAlarmNotices", alarm_notice.NoticeNotFound, alarm.NoticeInUse)
def delete_alarm_notices(call: Call, given: Parameters) -> None:
    """Delete unused notices."""
    alarm.delete_notices(call.tx, given.required_texts("NoticeIds"))
