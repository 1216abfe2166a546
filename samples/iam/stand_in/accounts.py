"""iam-apiserver's answers about accounts: login, tokens, users."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from . import passwords, rules
from .codes import (
    DATABASE,
    INVALID_AUTH_HEADER,
    PAGE_NOT_FOUND,
    PASSWORD_INCORRECT,
    PERMISSION_DENIED,
    SIGNATURE_INVALID,
    USER_ALREADY_EXISTS,
    USER_NOT_FOUND,
    CodedError,
)
from .jsontext import dump
from .login import TokenError, Tokens
from .messages import Request, Response, ok
from .records import User
from .stores import DuplicateNameError, Page, Store, StoreError

Handler = Callable[[Request], Response]
_LIMIT = 1000  # of a list that asks for none
_WRONG_LOGIN = "incorrect Username or Password"


@dataclass(frozen=True, slots=True)
class Accounts:
    """Login, and the users."""

    store: Store
    tokens: Tokens
    realm: str

    # -- login -------------------------------------------------------------------------------------------------------

    def login(self, request: Request) -> Response:
        """By JSON body or Basic. Whatever is wrong, the database included, the answer is the same 401."""
        name = _basic(request) if request.header("Authorization") else _json_login(request)
        if not name or not self._check(*name):
            return self._refused(_WRONG_LOGIN)
        return self._with_token(*self.tokens.issue(name[0]))

    def logout(self, _: Request) -> Response:
        """Clears the cookie; the token itself stays valid."""
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
        """The handler behind a check of the Authorization header: Basic or Bearer."""

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
            return False  # as the real server: it looks like a wrong password (iam.md 7, 8)
        user.logined_at = datetime.now(UTC)
        try:
            self.store.save_user(user)
        except StoreError:
            return True  # a database that can only be read still lets people in
        return True

    def _with_token(self, token: str, expiry: float) -> Response:
        expires = datetime.fromtimestamp(int(expiry), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        cookie = f"jwt={token}; Path=/; Max-Age={int(self.tokens.timeout_s)}"
        return Response(HTTPStatus.OK, dump({"expire": expires, "token": token}), headers=(("Set-Cookie", cookie),))

    def _refused(self, message: str) -> Response:
        realm = ("Www-Authenticate", f"JWT realm={self.realm}")
        return Response(HTTPStatus.UNAUTHORIZED, dump({"message": message}), headers=(realm,))

    # -- users -------------------------------------------------------------------------------------------------------

    def administrator(self, handler: Handler) -> Handler:
        """Administrators only. A database that is down looks like a missing right, as in the real server."""

        def checked(request: Request) -> Response:
            if not self._is_admin(request.username):
                raise CodedError(PERMISSION_DENIED, request.username)
            return handler(request)

        return checked

    def administrator_or_self(self, handler: Handler) -> Handler:
        def checked(request: Request) -> Response:
            if request.username != request.parameters["name"] and not self._is_admin(request.username):
                raise CodedError(PERMISSION_DENIED, request.username)
            return handler(request)

        return checked

    def create(self, request: Request) -> Response:
        """Open to anyone, and isAdmin is honoured, as in the real server: nginx has to filter this (iam.md 7, 2)."""
        body = request.json()
        user = User(
            metadata=rules.metadata(body),
            nickname=rules.text(body, "nickname"),
            password=rules.text(body, "password"),
            email=rules.text(body, "email"),
            phone=rules.text(body, "phone"),
            is_admin=rules.number(body, "isAdmin"),
            logined_at=datetime.now(UTC),
        )
        rules.check_name(user.metadata.name)
        rules.check_password(user.password)
        rules.check_profile(user.nickname, user.email)
        user.password = passwords.encrypt(user.password)
        try:
            self.store.create_user(user)
        except DuplicateNameError as error:
            raise CodedError(USER_ALREADY_EXISTS, str(error)) from error
        except StoreError as error:
            raise CodedError(DATABASE, str(error)) from error
        return ok(user.to_json())

    def get(self, request: Request) -> Response:
        return ok(self._user(request).to_json())

    def list(self, request: Request) -> Response:
        page = page_of(request)
        total, users = self.store.list_users(page)
        counts = [self.store.list_policies(user.metadata.name, Page(limit=0))[0] for user in users]
        return ok(listing(total, [user.to_list_json(count) for user, count in zip(users, counts, strict=True)]))

    def update(self, request: Request) -> Response:
        body = request.json()
        user = self._user(request)
        user.nickname = rules.text(body, "nickname")
        user.email = rules.text(body, "email")
        user.phone = rules.text(body, "phone")
        user.metadata.extend = rules.metadata(body).extend
        rules.check_profile(user.nickname, user.email)
        self.store.save_user(user)
        return ok(user.to_json())

    def change_password(self, request: Request) -> Response:
        body = request.json()
        user = self._user(request)
        if not passwords.matches(rules.text(body, "oldPassword"), user.password):
            raise CodedError(PASSWORD_INCORRECT)
        rules.check_password(rules.text(body, "newPassword"))
        user.password = passwords.encrypt(rules.text(body, "newPassword"))
        self.store.save_user(user)
        return ok()

    def delete(self, request: Request) -> Response:
        self.store.delete_users([request.parameters["name"]])
        return ok()

    def delete_collection(self, request: Request) -> Response:
        self.store.delete_users(request.query.get("name", []))
        return ok()

    def _user(self, request: Request) -> User:
        user = self.store.find_user(request.parameters["name"])
        if user is None:
            raise CodedError(USER_NOT_FOUND, request.parameters["name"])
        return user

    def _is_admin(self, name: str) -> bool:
        try:
            user = self.store.find_user(name)
        except StoreError:
            return False
        return user is not None and user.is_admin == 1


def listing(total: int, items: list[dict[str, object]]) -> dict[str, object]:
    """Go leaves a count of 0 out."""
    return {**({"totalCount": total} if total else {}), "items": items}


def page_of(request: Request) -> Page:
    """offset, limit and fieldSelector=name=... of the query; what is no number counts as not given."""
    query = request.query

    def number(key: str, otherwise: int) -> int:
        text = query.get(key, [""])[0]
        return int(text) if text.removeprefix("-").isdecimal() else otherwise

    selector = query.get("fieldSelector", [""])[0]
    name = selector.removeprefix("name=").removeprefix("=") if selector.startswith("name=") else ""
    return Page(offset=number("offset", 0), limit=number("limit", _LIMIT), name_contains=name)


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
    """A password that breaks the format rule never reaches the database."""
    try:
        body = request.json()
        name, password = rules.text(body, "username"), rules.text(body, "password")
    except CodedError:
        return None
    return (name, password) if name and rules.is_password(password) else None
