"""iam-apiserver: routes, listeners and its process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from .codes import DATABASE, CodedError
from .config import Config, ConfigError, load
from .grants import Feed, Policies, Secrets, publishing
from .journal import Journal
from .login import Tokens
from .messages import Request, Response, Router, healthz, version
from .process import Ports, Stop, run
from .sessions import Sessions
from .stores import CHANNEL, Messages, MessagesError, Store, StoreError
from .users import Users

NAME = "iam-apiserver"
SECRETS_PATH = "/proto.Cache/ListSecrets"  # the path of the gRPC method; the stand-in uses a POST over HTTPS with JSON
POLICIES_PATH = "/proto.Cache/ListPolicies"


@dataclass(frozen=True, slots=True)
class Notices:
    """Notifies every authz-server to reload.

    A lost notice does not fail the request: the change is stored (as in marmotedu/iam 16c723d).
    """

    messages: Messages
    journal: Journal

    def sender(self, command: str) -> Callable[[], None]:
        text = json.dumps({"command": command, "payload": "", "signature": "", "algorithm": 0})

        def send() -> None:
            try:
                self.messages.publish(CHANNEL, text)
            except MessagesError as error:
                self.journal.error("publish redis message failed", command=command, error=str(error))

        return send


def routes(store: Store, tokens: Tokens, notices: Notices, realm: str) -> Callable[[Request], Response]:
    """The public API as one function."""
    sessions, users = Sessions(store, tokens, realm), Users(store)
    secrets, policies = Secrets(store), Policies(store)
    guarded = sessions.authenticated
    router = Router(otherwise=guarded(sessions.no_such_page))
    router.add("GET", "/healthz", healthz)
    router.add("GET", "/version", version)
    router.add("POST", "/login", sessions.login)
    router.add("POST", "/logout", sessions.logout)
    router.add("POST", "/refresh", sessions.refresh)

    router.add("POST", "/v1/users", users.create)
    router.add("GET", "/v1/users", guarded(users.administrator(users.list)))
    router.add("DELETE", "/v1/users", guarded(users.administrator(users.delete_collection)))
    router.add("GET", "/v1/users/:name", guarded(users.administrator_or_self(users.get)))
    router.add("PUT", "/v1/users/:name", guarded(users.administrator_or_self(users.update)))
    router.add("DELETE", "/v1/users/:name", guarded(users.administrator(users.delete)))
    router.add("PUT", "/v1/users/:name/change-password", guarded(users.change_password))

    secret_changed, policy_changed = notices.sender("SecretChanged"), notices.sender("PolicyChanged")
    router.add("GET", "/v1/secrets", guarded(secrets.list))
    router.add("GET", "/v1/secrets/:name", guarded(secrets.get))
    router.add("POST", "/v1/secrets", guarded(publishing(secrets.create, secret_changed)))
    router.add("PUT", "/v1/secrets/:name", guarded(publishing(secrets.update, secret_changed)))
    router.add("DELETE", "/v1/secrets/:name", guarded(publishing(secrets.delete, secret_changed)))

    router.add("GET", "/v1/policies", guarded(policies.list))
    router.add("GET", "/v1/policies/:name", guarded(policies.get))
    router.add("POST", "/v1/policies", guarded(publishing(policies.create, policy_changed)))
    router.add("PUT", "/v1/policies/:name", guarded(publishing(policies.update, policy_changed)))
    router.add("DELETE", "/v1/policies/:name", guarded(publishing(policies.delete, policy_changed)))
    router.add("DELETE", "/v1/policies", guarded(publishing(policies.delete_collection, policy_changed)))
    return _with_store_errors(router)


def feed_routes(store: Store) -> Callable[[Request], Response]:
    """The endpoint that authz-servers read; the real server serves it over gRPC on the same port."""
    feed = Feed(store)
    router = Router(otherwise=lambda _: Response(HTTPStatus.NOT_FOUND, ""))
    router.add("POST", SECRETS_PATH, feed.secrets)
    router.add("POST", POLICIES_PATH, feed.policies)
    return _with_store_errors(router)


def _with_store_errors(router: Router) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        try:
            return router(request)
        except StoreError as error:
            raise CodedError(DATABASE, str(error)) from error

    return answer


def tokens_of(config: Config) -> Tokens:
    """Raises ConfigError for a JWT key that the real server would refuse."""
    key = config.text("jwt.key")
    if not 6 <= len(key) <= 32:  # noqa: PLR2004 - the real server's bounds
        raise ConfigError(f"{NAME}: jwt.key has {len(key)} characters; must have 6 to 32, the same on every node")
    return Tokens(key, config.seconds("jwt.timeout"), config.seconds("jwt.max-refresh"))


def main(arguments: Sequence[str]) -> int:
    """Run the process.

    Exits with 1 if the database does not answer at start, like the real server (systemd restarts it).
    """
    # Only this process needs the drivers: tests of the routes run without them.
    from .mariadb import MariaDbStore  # noqa: PLC0415 - only this process needs it
    from .redis_messages import RedisMessages  # noqa: PLC0415 - only this process needs it

    def prepare(config: Config, journal: Journal, _: Stop) -> Ports:
        store = MariaDbStore.connect(config)
        notices = Notices(RedisMessages.connect(config), journal)
        return Ports(
            public=routes(store, tokens_of(config), notices, config.text("jwt.realm")),
            internal=feed_routes(store),
        )

    return run(lambda: load(NAME, arguments, os.environ), prepare)
