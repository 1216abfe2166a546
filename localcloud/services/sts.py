"""The identity of the caller."""

from __future__ import annotations

from localcloud.services.actions import Answer, Call, action

ACCOUNT = "100000000001"


@action("sts", "GetCallerIdentity")
def get_caller_identity(call: Call) -> Answer:
    """Return the account and user of the credentials."""
    del call
    return {
        "Arn": f"qcs::cam::uin/{ACCOUNT}:uin/{ACCOUNT}",
        "AccountId": ACCOUNT,
        "UserId": ACCOUNT,
        "PrincipalId": ACCOUNT,
        "Type": "CAMUser",
    }
