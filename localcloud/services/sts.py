"""The identity of the caller."""

from __future__ import annotations

from localcloud.services.actions import Answer, Call, action
from localcloud.services.parameters import Parameters

ACCOUNT = "100000000001"


@action("sts", "GetCallerIdentity")
def get_caller_identity(_call: Call, _given: Parameters) -> Answer:
    """Return the account and user of the credentials."""
    return {
        "Arn": f"qcs::cam::uin/{ACCOUNT}:uin/{ACCOUNT}",
        "AccountId": ACCOUNT,
        "UserId": ACCOUNT,
        "PrincipalId": ACCOUNT,
        "Type": "CAMUser",
    }
