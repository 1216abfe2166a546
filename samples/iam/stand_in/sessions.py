"""Authentication of iam-apiserver, by password or by token."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from . import passwords, rules
from .codes import INVALID_AUTH_HEADER, PAGE_NOT_FOUND, SIGNATURE_INVALID, CodedError
from .jsontext import dump
from .login import TokenError, Tokens
from .messages import Request, Response
from .stores import Store, StoreError

Handler = Callable[[Request], Response]
_WRONG_LOGIN = "incorrect Username or Password"


@dataclass(frozen=True, slots=True)
class Sessions:
    store: Store
    tokens: Tokens
    realm: str

    def login(self, request: Request) -> Response:
        """Log in by JSON body or Basic. Every failure, including a database failure, returns the same 401."""
        name = _basic(request) if request.header("Authorization") else _json_login(request)
        if not name or not self._check(*name):
            return self._refused(_WRONG_LOGIN)
        return self._with_token(*self.tokens.issue(name[0]))

    def logout(self, _: Request) -> Response:
        """Clear the cookie. The token stays valid."""
        return Response(HTTPStatus.OK, "null", headers=(("Set-Cookie", "jwt=; Path=/; Max-Age=0"),))

    def refresh(self, request: Request) -> Response:
        scheme, _, token = request.header("Authorization").partition(" ")
        if scheme != "Bearer":
            return self._refused("auth header is invalid" if scheme else "cookie token is empty")
        try:
            return self._with_token(*self.tokens.refresh(token))
        except TokenError as error:
            return self._refused(str(error))

    def authenticated(self, handler: Handler) -> Handler:
        """Wrap a handler with a check of the Authorization header (Basic or Bearer)."""

        def checked(request: Request) -> Response:
            scheme, blank, credentials = request.header("Authorization").partition(" ")
            if not blank:
                raise CodedError(INVALID_AUTH_HEADER)
            if scheme == "Bearer":
                try:
                    request.username = self.tokens.username(credentials)
                except TokenError as error:
                    return self._refused(str(error))
                return handler(request)
            name = _basic(request)
            if not name or not self._check(*name):
                raise CodedError(SIGNATURE_INVALID)
            request.username = name[0]
            return handler(request)

        return checked

    def no_such_page(self, request: Request) -> Response:
        raise CodedError(PAGE_NOT_FOUND, request.path)

    def _check(self, name: str, password: str) -> bool:
        try:
            user = self.store.find_user(name)
            if user is None or not passwords.matches(password, user.password):
                return False
        except StoreError:
            return False  # as in the real server: it looks like a wrong password
        user.logined_at = datetime.now(UTC)
        try:
            self.store.save_user(user)
        except StoreError:
            return True  # a read-only database must not prevent a login
        return True

    def _with_token(self, token: str, expiry: float) -> Response:
        expires = datetime.fromtimestamp(int(expiry), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        cookie = f"jwt={token}; Path=/; Max-Age={int(self.tokens.timeout_s)}"
        return Response(HTTPStatus.OK, dump({"expire": expires, "token": token}), headers=(("Set-Cookie", cookie),))

    def _refused(self, message: str) -> Response:
        realm = ("Www-Authenticate", f"JWT realm={self.realm}")
        return Response(HTTPStatus.UNAUTHORIZED, dump({"message": message}), headers=(realm,))


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.header("Authorization").partition(" ")
    if scheme != "Basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


def _json_login(request: Request) -> tuple[str, str] | None:
    """A password in a wrong format is refused without asking the database."""
    try:
        body = request.json()
        name, password = rules.text(body, "username"), rules.text(body, "password")
    except CodedError:
        return None
    return (name, password) if name and rules.is_password(password) else None
