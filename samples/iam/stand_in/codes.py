"""The error codes of the IAM API. The real project generates this table at build time.

IamError
└── CodedError      a request failed with one of the codes below
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Code:
    number: int
    status: HTTPStatus
    message: str


UNKNOWN = Code(100002, HTTPStatus.INTERNAL_SERVER_ERROR, "Internal server error")
BIND = Code(100003, HTTPStatus.BAD_REQUEST, "Error occurred while binding the request body to the struct")
VALIDATION = Code(100004, HTTPStatus.BAD_REQUEST, "Validation failed")
PAGE_NOT_FOUND = Code(100006, HTTPStatus.NOT_FOUND, "Page not found")
DATABASE = Code(100101, HTTPStatus.INTERNAL_SERVER_ERROR, "Database error")
SIGNATURE_INVALID = Code(100202, HTTPStatus.UNAUTHORIZED, "Signature is invalid")
EXPIRED = Code(100203, HTTPStatus.UNAUTHORIZED, "Token expired")
INVALID_AUTH_HEADER = Code(100204, HTTPStatus.UNAUTHORIZED, "Invalid authorization header")
MISSING_HEADER = Code(100205, HTTPStatus.UNAUTHORIZED, "The `Authorization` header was empty")
PASSWORD_INCORRECT = Code(100206, HTTPStatus.UNAUTHORIZED, "Password was incorrect")
PERMISSION_DENIED = Code(100207, HTTPStatus.FORBIDDEN, "Permission denied")
USER_NOT_FOUND = Code(110001, HTTPStatus.NOT_FOUND, "User not found")
USER_ALREADY_EXISTS = Code(110002, HTTPStatus.BAD_REQUEST, "User already exist")
SECRET_MAX_COUNT = Code(110101, HTTPStatus.BAD_REQUEST, "Secret reach the max count")
SECRET_NOT_FOUND = Code(110102, HTTPStatus.NOT_FOUND, "Secret not found")
POLICY_NOT_FOUND = Code(110201, HTTPStatus.NOT_FOUND, "Policy not found")


class IamError(Exception):
    """Base class of the stand-in's exceptions."""


class CodedError(IamError):
    """A request failed with a code. The cause is logged and never returned to the caller."""

    def __init__(self, code: Code, cause: str = "") -> None:
        super().__init__(f"{code.message} ({code.number}){': ' + cause if cause else ''}")
        self.code = code
