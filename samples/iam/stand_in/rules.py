"""Validation of request bodies. Every function raises CodedError(VALIDATION)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .codes import BIND, VALIDATION, CodedError
from .records import Metadata

# A Kubernetes "qualified name" without its prefix. The column holds 45 characters, which the real validator ignores.
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_PASSWORD_CLASSES = (r"[A-Z]", r"[a-z]", r"[0-9]", r"[^A-Za-z0-9\s]")


def text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CodedError(BIND, f"{key} is a {type(value).__name__}, must be a string")
    return value


def number(body: Mapping[str, Any], key: str) -> int:
    value = body.get(key) or 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise CodedError(BIND, f"{key} is {value!r}, must be an integer")
    return value


def tree(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise CodedError(BIND, f"{key} is {value!r}, must be an object")
    return value


def metadata(body: Mapping[str, Any]) -> Metadata:
    given = tree(body, "metadata")
    return Metadata(name=text(given, "name"), extend=tree(given, "extend"))


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise CodedError(VALIDATION, f"metadata.name {name!r}: letters, digits, '-', '_', '.', at most 63")


def is_password(password: str) -> bool:
    """8 to 16 characters with upper case, lower case, digit and special character."""
    return 8 <= len(password) <= 16 and all(re.search(kind, password) for kind in _PASSWORD_CLASSES)  # noqa: PLR2004 - the real server's bounds


def check_password(password: str) -> None:
    if not is_password(password):
        raise CodedError(VALIDATION, "password: 8 to 16 characters with upper, lower, digit and special")


def check_profile(nickname: str, email: str) -> None:
    if not 1 <= len(nickname) <= 30:  # noqa: PLR2004 - the real server's bounds
        raise CodedError(VALIDATION, f"nickname {nickname!r}: 1 to 30 characters")
    if not _EMAIL.fullmatch(email) or len(email) > 100:  # noqa: PLR2004 - the real server's bounds
        raise CodedError(VALIDATION, f"email {email!r} is none")


def check_description(description: str) -> None:
    if len(description) > 255:  # noqa: PLR2004 - the real server's bounds
        raise CodedError(VALIDATION, "description: at most 255 characters")
