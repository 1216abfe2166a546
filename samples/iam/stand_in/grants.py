"""Handlers of iam-apiserver for secrets (keys that sign requests) and policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import ladon, passwords, rules
from .codes import DATABASE, POLICY_NOT_FOUND, SECRET_MAX_COUNT, SECRET_NOT_FOUND, CodedError
from .lists import listing, page_of
from .messages import Request, Response, ok
from .records import Policy, Secret
from .stores import Page, Store

_MAX_SECRETS = 10
_EVERYTHING = Page(limit=-1)


@dataclass(frozen=True, slots=True)
class Secrets:
    store: Store

    def create(self, request: Request) -> Response:
        body = request.json()
        secret = Secret(
            metadata=rules.metadata(body),
            username=request.username,
            secret_id=passwords.random_text(36),
            secret_key=passwords.random_text(32),
            expires=rules.number(body, "expires"),
            description=rules.text(body, "description"),
        )
        rules.check_name(secret.metadata.name)
        rules.check_description(secret.description)
        if self.store.list_secrets(request.username, Page(limit=0))[0] >= _MAX_SECRETS:
            raise CodedError(SECRET_MAX_COUNT, request.username)
        self.store.create_secret(secret)
        return ok(secret.to_json())

    def get(self, request: Request) -> Response:
        return ok(self._find(request).to_json())

    def list(self, request: Request) -> Response:
        total, secrets = self.store.list_secrets(request.username, page_of(request))
        return ok(listing(total, [secret.to_json() for secret in secrets]))

    def update(self, request: Request) -> Response:
        body = request.json()
        secret = self.store.find_secret(request.username, request.parameters["name"])
        if secret is None:
            raise CodedError(DATABASE, "no such secret")  # as the real server, instead of 110102
        secret.expires = rules.number(body, "expires")
        secret.description = rules.text(body, "description")
        secret.metadata.extend = rules.metadata(body).extend
        rules.check_description(secret.description)
        self.store.save_secret(secret)
        return ok(secret.to_json())

    def delete(self, request: Request) -> Response:
        self.store.delete_secrets(request.username, [request.parameters["name"]])
        return ok()

    def _find(self, request: Request) -> Secret:
        secret = self.store.find_secret(request.username, request.parameters["name"])
        if secret is None:
            raise CodedError(SECRET_NOT_FOUND, request.parameters["name"])
        return secret


@dataclass(frozen=True, slots=True)
class Policies:
    store: Store

    def create(self, request: Request) -> Response:
        body = request.json()
        metadata = rules.metadata(body)
        rules.check_name(metadata.name)
        policy = Policy(metadata, request.username, ladon.to_json(metadata.name, rules.tree(body, "policy")))
        self.store.create_policy(policy)
        return ok(policy.to_json())

    def get(self, request: Request) -> Response:
        return ok(self._find(request).to_json())

    def list(self, request: Request) -> Response:
        total, policies = self.store.list_policies(request.username, page_of(request))
        return ok(listing(total, [policy.to_json() for policy in policies]))

    def update(self, request: Request) -> Response:
        body = request.json()
        policy = self._find(request)
        policy.policy = ladon.to_json(policy.metadata.name, rules.tree(body, "policy"))
        policy.metadata.extend = rules.metadata(body).extend
        self.store.save_policy(policy)
        return ok(policy.to_json())

    def delete(self, request: Request) -> Response:
        self.store.delete_policies(request.username, [request.parameters["name"]])
        return ok()

    def delete_collection(self, request: Request) -> Response:
        self.store.delete_policies(request.username, request.query.get("name", []))
        return ok()

    def _find(self, request: Request) -> Policy:
        policy = self.store.find_policy(request.username, request.parameters["name"])
        if policy is None:
            raise CodedError(POLICY_NOT_FOUND, request.parameters["name"])
        return policy


@dataclass(frozen=True, slots=True)
class Feed:
    """Return all secrets and policies for the authz-servers. The real server serves this over gRPC without
    authentication.

    It must listen on an address that only the node's authz-server can reach.
    """

    store: Store

    def secrets(self, _: Request) -> Response:
        secrets = self.store.list_secrets(None, _EVERYTHING)[1]
        return ok(
            {
                secret.secret_id: {"username": secret.username, "key": secret.secret_key, "expires": secret.expires}
                for secret in secrets
            }
        )

    def policies(self, _: Request) -> Response:
        """By owner, newest row first."""
        policies = self.store.list_policies(None, _EVERYTHING)[1]
        owned: dict[str, list[object]] = {}
        for policy in policies:
            owned.setdefault(policy.username, []).append(policy.policy)
        return ok(owned)


def publishing(handler: Callable[[Request], Response], notify: Callable[[], None]) -> Callable[[Request], Response]:
    """Wrap a handler: after a success it notifies every authz-server."""

    def published(request: Request) -> Response:
        response = handler(request)
        notify()
        return response

    return published
