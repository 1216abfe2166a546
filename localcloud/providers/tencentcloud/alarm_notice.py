"""Monitor/alarmNotice."""

from __future__ import annotations

from typing import Any, Final

from localcloud.providers.schema import OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud.api import Api, deleting
from localcloud.providers.tencentcloud.monitor import MODULE, call, from_api, to_api
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

_PAGE: Final = 200

_USER_NOTICE: Final = (
    ("receiverType", "ReceiverType"),
    ("startTime", "StartTime"),
    ("endTime", "EndTime"),
    ("noticeWays", "NoticeWay"),
    ("userIds", "UserIds"),
    ("groupIds", "GroupIds"),
    ("phoneOrders", "PhoneOrder"),
    ("phoneCircleTimes", "PhoneCircleTimes"),
    ("phoneInnerInterval", "PhoneInnerInterval"),
    ("phoneCircleInterval", "PhoneCircleInterval"),
    ("needPhoneArriveNotice", "NeedPhoneArriveNotice"),
    ("phoneCallType", "PhoneCallType"),
    ("weekdays", "Weekday"),
)
_URL_NOTICE: Final = (
    ("url", "URL"),
    ("isValid", "IsValid"),
    ("validationCode", "ValidationCode"),
    ("startTime", "StartTime"),
    ("endTime", "EndTime"),
    ("weekdays", "Weekday"),
)


def _notice(inputs: Properties) -> dict[str, Any]:
    return {
        "Name": inputs.get("name", ""),
        "NoticeType": inputs["noticeType"],
        "NoticeLanguage": inputs["noticeLanguage"],
        "UserNotices": [to_api(notice, _USER_NOTICE) for notice in inputs.get("userNotices") or ()] or None,
        "URLNotices": [to_api(notice, _URL_NOTICE) for notice in inputs.get("urlNotices") or ()] or None,
    }


def _notices(api: Api, **parameters: Any) -> list[dict[str, Any]]:
    answer = call(api, "DescribeAlarmNotices", {"PageNumber": 1, "PageSize": _PAGE, "Order": "ASC", **parameters})
    return answer.get("Notices") or []


def _create_notice(api: Api, inputs: Properties, _token: str) -> str:
    return call(api, "CreateAlarmNotice", _notice(inputs))["NoticeId"]


def _read_notice(api: Api, notice_id: str, _inputs: Properties) -> Properties | None:
    found = [one for one in _notices(api, NoticeIds=[notice_id]) if one["Id"] == notice_id]
    if not found:
        return None
    notice = found[0]
    return {
        "name": notice["Name"],
        "noticeType": notice["NoticeType"],
        "noticeLanguage": notice["NoticeLanguage"],
        "isPreset": notice.get("IsPreset") or 0,
        "updatedAt": notice.get("UpdatedAt") or "",
        "updatedBy": notice.get("UpdatedBy") or "",
        "policyIds": notice.get("PolicyIds") or [],
        "ampConsumerId": notice.get("AMPConsumerId") or "",
        "userNotices": [from_api(one, _USER_NOTICE) for one in notice.get("UserNotices") or ()],
        "urlNotices": [from_api(one, _URL_NOTICE) for one in notice.get("URLNotices") or ()],
    }


def _update_notice(api: Api, notice_id: str, _old: Properties, new: Properties) -> None:
    call(api, "ModifyAlarmNotice", {"NoticeId": notice_id, **_notice(new)})


ALARM_NOTICE = ResourceType(
    properties={
        "name": REQUIRED,
        "noticeType": REQUIRED,
        "noticeLanguage": REQUIRED,
        "userNotices": Property(nested={name: OPTIONAL for name, _ in _USER_NOTICE}),
        "urlNotices": Property(nested={name: OPTIONAL for name, _ in _URL_NOTICE}),
    },
    create=_create_notice,
    read=_read_notice,
    update=_update_notice,
    delete=deleting("monitor", "DeleteAlarmNotices", lambda notice_id: {**MODULE, "NoticeIds": [notice_id]}),
)
