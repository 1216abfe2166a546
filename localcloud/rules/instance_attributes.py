"""Attributes of instances: name, host name, user data and role."""

from __future__ import annotations

import base64
import binascii
import re

from localcloud.rules.refusal import Refusal, documented

_RUN = "213/15730"
NAME_LIMIT = 128  # at creation
NEW_NAME_LIMIT = 60  # in later changes
HOSTNAME_LENGTHS = range(2, 61)
USER_DATA_LIMIT = 16 * 1024


class UserDataTooLong(Refusal):
    """User data must not exceed 16 KiB before encoding."""

    code = "InvalidParameterValue.TooLarge"
    template = "The user data must not exceed 16384 bytes (got {size})."
    source = documented("RunInstances: UserData, at most 16 KB of data; InvalidParameterValue.TooLarge", page=_RUN)


class UserDataNotBase64(Refusal):
    """User data must be encoded in base64."""

    code = "InvalidParameterValue.InvalidUserDataFormat"
    template = "The user data must be encoded in base64."
    source = documented("RunInstances: InvalidParameterValue.InvalidUserDataFormat", page=_RUN)


class HostNameIllegal(Refusal):
    """A host name must have 2 to 60 letters, digits, hyphens and dots. A hyphen or dot must not be first, last or
    doubled.
    """

    code = "InvalidParameterValue.IllegalHostName"
    template = "HostName must have 2 to 60 letters, digits and single inner hyphens and dots (got `{hostname}`)."
    source = documented("RunInstances: HostName of Linux instances, 2 to 60 characters", page=_RUN)


class NameTooLong(Refusal):
    """An instance name must not exceed 128 characters in RunInstances and 60 in later changes."""

    code = "InvalidInstanceName.TooLong"
    template = "The instance name must not be longer than {limit} characters."
    source = documented("RunInstances: InstanceName at most 128; ModifyInstancesAttribute (213/15739): 60", page=_RUN)


class RoleNameMalformed(Refusal):
    """The name of a CAM role must consist of letters, digits and `+ = , . @ _ -`."""

    code = "InvalidParameterValue.CamRoleNameMalformed"
    template = "The role name must consist of letters, digits and `+ = , . @ _ -` (got `{name}`)."
    source = documented("RunInstances: InvalidParameterValue.CamRoleNameMalformed", page=_RUN)


def check_user_data(text: str) -> None:
    """Raises: UserDataNotBase64 or UserDataTooLong."""
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise UserDataNotBase64 from None
    if size > USER_DATA_LIMIT:
        raise UserDataTooLong(size=size)


def check_hostname(hostname: str) -> None:
    """Raises: HostNameIllegal."""
    if len(hostname) not in HOSTNAME_LENGTHS or not re.fullmatch(r"[A-Za-z0-9]+([.-][A-Za-z0-9]+)*", hostname):
        raise HostNameIllegal(hostname=hostname)


def check_name(name: str, limit: int = NAME_LIMIT) -> None:
    """Raises: NameTooLong."""
    if len(name) > limit:
        raise NameTooLong(limit=limit)


def check_role(name: str) -> None:
    """Raises: RoleNameMalformed."""
    if not re.fullmatch(r"[A-Za-z0-9+=,.@_-]*", name):
        raise RoleNameMalformed(name=name)
