"""Handlers of iam-apiserver for users, and their authorization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from . import passwords, rules
from .codes import (
    DATABASE,
    PASSWORD_INCORRECT,
    PERMISSION_DENIED,
    USER_ALREADY_EXISTS,
    USER_NOT_FOUND,
    CodedError,
)
from .lists import listing, page_of
from .messages import Request, Response, ok
from .records import User
from .stores import DuplicateNameError, Page, Store, StoreError

Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Users:
    store: Store

    def administrator(self, handler: Handler) -> Handler:
        """Require an administrator. A database failure looks like a missing permission, as in the real server."""

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
        """Needs no login and accepts isAdmin, as in the real server: nginx must filter this request."""
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
