"""Attributes of instances: name, host name, user data and role."""

from __future__ import annotations

import base64
import binascii
import re

from localcloud.rules.instance import Instance
from localcloud.rules.refusal import documented, rule

_RUN = "213/15730"
NAME_LIMIT = 128  # at creation
NEW_NAME_LIMIT = 60  # in later changes
HOSTNAME_LENGTHS = range(2, 61)
USER_DATA_LIMIT = 16 * 1024

_RUN_INSTANCES = documented("RunInstances", page=_RUN)
UserDataTooLong = rule(
    "InvalidParameterValue.TooLarge", "User data must not exceed 16 KiB before encoding.", _RUN_INSTANCES
)
UserDataNotBase64 = rule(
    "InvalidParameterValue.InvalidUserDataFormat", "User data must be encoded in base64.", _RUN_INSTANCES
)
HostNameIllegal = rule(
    "InvalidParameterValue.IllegalHostName",
    "A host name must have 2 to 60 letters, digits, and single inner hyphens and dots.",
    documented("RunInstances: HostName of Linux instances, 2 to 60 characters", page=_RUN),
)
NameTooLong = rule(
    "InvalidInstanceName.TooLong",
    "An instance name must not exceed 128 characters in RunInstances and 60 in later changes.",
    documented("RunInstances: InstanceName at most 128; ModifyInstancesAttribute (213/15739): 60", page=_RUN),
)
RoleNameMalformed = rule(
    "InvalidParameterValue.CamRoleNameMalformed",
    "The name of a CAM role must consist of letters, digits and `+ = , . @ _ -`.",
    _RUN_INSTANCES,
)


def _check_user_data(text: str) -> None:
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise UserDataNotBase64 from None
    if size > USER_DATA_LIMIT:
        raise UserDataTooLong(got=size)


def check_hostname(hostname: str) -> None:
    """Raises: HostNameIllegal."""
    if len(hostname) not in HOSTNAME_LENGTHS or not re.fullmatch(r"[A-Za-z0-9]+([.-][A-Za-z0-9]+)*", hostname):
        raise HostNameIllegal(got=hostname)


def check(checked: Instance, name_limit: int = NAME_LIMIT) -> None:
    """Check the attributes that a request can set. Raises: the refusal of an invalid one."""
    if len(checked.name) > name_limit:
        raise NameTooLong
    if checked.hostname:
        check_hostname(checked.hostname)
    _check_user_data(checked.user_data)
    if not re.fullmatch(r"[A-Za-z0-9+=,.@_-]*", checked.cam_role_name):
        raise RoleNameMalformed(got=checked.cam_role_name)
