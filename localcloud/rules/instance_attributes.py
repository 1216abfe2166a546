"""What an instance may be given: name, host name, user data, role."""

from __future__ import annotations

import base64
import binascii
import re

from localcloud.rules.refusal import Refusal, documented

_RUN = "213/15730"
NAME_LIMIT = 128  # at birth
NEW_NAME_LIMIT = 60  # afterwards
HOSTNAME_LENGTHS = range(2, 61)
USER_DATA_LIMIT = 16 * 1024


class UserDataTooLong(Refusal):
    """User data has at most 16 KiB, before it is encoded."""

    code = "InvalidParameterValue.TooLarge"
    template = "The user data has {size} bytes; the limit is 16384."
    source = documented("RunInstances: UserData, at most 16 KB of data; InvalidParameterValue.TooLarge", page=_RUN)


class UserDataNotBase64(Refusal):
    """User data is given in base64."""

    code = "InvalidParameterValue.InvalidUserDataFormat"
    template = "The user data is not base64."
    source = documented("RunInstances: InvalidParameterValue.InvalidUserDataFormat", page=_RUN)


class HostNameIllegal(Refusal):
    """A host name has 2 to 60 letters, digits, hyphens and dots, with no hyphen or dot at its ends or doubled."""

    code = "InvalidParameterValue.IllegalHostName"
    template = "The host name `{hostname}` is not valid."
    source = documented("RunInstances: HostName of Linux instances, 2 to 60 characters", page=_RUN)


class NameTooLong(Refusal):
    """An instance's name has at most 128 characters when it is created, and at most 60 when it is changed."""

    code = "InvalidInstanceName.TooLong"
    template = "The instance name exceeds {limit} characters."
    source = documented("RunInstances: InstanceName at most 128; ModifyInstancesAttribute (213/15739): 60", page=_RUN)


class RoleNameMalformed(Refusal):
    """A CAM role's name has letters, digits and `+ = , . @ _ -` alone."""

    code = "InvalidParameterValue.CamRoleNameMalformed"
    template = "The role name `{name}` is malformed."
    source = documented("RunInstances: InvalidParameterValue.CamRoleNameMalformed", page=_RUN)


def check_user_data(text: str) -> None:
    """Raises UserDataNotBase64 or UserDataTooLong."""
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise UserDataNotBase64 from None
    if size > USER_DATA_LIMIT:
        raise UserDataTooLong(size=size)


def check_hostname(hostname: str) -> None:
    """Raises HostNameIllegal."""
    if len(hostname) not in HOSTNAME_LENGTHS or not re.fullmatch(r"[A-Za-z0-9]+([.-][A-Za-z0-9]+)*", hostname):
        raise HostNameIllegal(hostname=hostname)


def check_name(name: str, limit: int = NAME_LIMIT) -> None:
    """Raises NameTooLong."""
    if len(name) > limit:
        raise NameTooLong(limit=limit)


def check_role(name: str) -> None:
    """Raises RoleNameMalformed."""
    if not re.fullmatch(r"[A-Za-z0-9+=,.@_-]*", name):
        raise RoleNameMalformed(name=name)
