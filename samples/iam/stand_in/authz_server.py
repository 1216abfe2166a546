"""iam-authz-server: authorizes requests that callers sign with their secrets, from cached policies."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from . import ladon
from .audit import Record, Recorder
from .cache import ApiserverSource, Cache, CachedSecret
from .codes import BIND, EXPIRED, MISSING_HEADER, PAGE_NOT_FOUND, SIGNATURE_INVALID, CodedError
from .config import Config, ConfigError, load
from .journal import Journal
from .messages import Request, Response, Router, healthz, ok, version
from .process import Ports, Stop, StoppedError, run
from .stores import CHANNEL, Messages, MessagesError

NAME = "iam-authz-server"
_NO_POLICIES = "list policies failed"
_RESUBSCRIBE_S = 1.0


@dataclass(frozen=True, slots=True)
class Authorizer:
    cache: Cache
    record: Callable[[Record], None]
    now: Callable[[], float] = time.time

    def authorize(self, request: Request) -> Response:
        snapshot = self.cache.snapshot
        owner = self._authenticate(request, snapshot.secrets).username
        request.username = owner
        asked = _asked(request, owner)
        policies = snapshot.policies.get(owner)
        if policies is None:
            return _denied(_NO_POLICIES)
        try:
            decision = ladon.decide(asked, policies)
        except ladon.PatternError as error:
            return _denied(str(error))
        self.record(Record.of(asked, policies, decision))
        return ok({"allowed": True}) if decision.allowed else _denied(decision.reason)

    def no_such_page(self, request: Request) -> Response:
        self._authenticate(request, self.cache.snapshot.secrets)
        raise CodedError(PAGE_NOT_FOUND, request.path)

    def _authenticate(self, request: Request, secrets: Mapping[str, CachedSecret]) -> CachedSecret:
        """The secret that signed the token, found by its `kid`. Checks exp and nbf, but not aud and iss."""
        header = request.header("Authorization")
        if not header:
            raise CodedError(MISSING_HEADER)
        token = header.removeprefix("Bearer ").strip()
        try:
            secret = secrets[jwt.get_unverified_header(token)["kid"]]
            jwt.decode(token, secret.key, algorithms=["HS256", "HS384", "HS512"], options={"verify_aud": False})
        except (jwt.InvalidTokenError, KeyError) as error:
            raise CodedError(SIGNATURE_INVALID, repr(error)) from error
        if 0 < secret.expires < self.now():
            raise CodedError(EXPIRED, f"secret of {secret.username}, at {secret.expires}")
        return secret


def _asked(request: Request, owner: str) -> ladon.Asked:
    # Without the content type the real server parses the body as a form and evaluates an empty request.
    is_json = request.header("Content-Type").split(";")[0].strip() == "application/json"
    body: dict[str, Any] = request.json() if is_json else {}
    context = body.get("context") or {}
    words = [body.get(key) or "" for key in ("subject", "action", "resource")]
    if not isinstance(context, dict) or not all(isinstance(word, str) for word in words):
        raise CodedError(BIND, "subject, action and resource are strings, context is an object")
    return ladon.Asked(*words, context={**context, "username": owner})


def _denied(reason: str) -> Response:
    return ok({"allowed": False, "denied": True, "reason": reason})


def routes(authorizer: Authorizer) -> Callable[[Request], Response]:
    router = Router(otherwise=authorizer.no_such_page)
    router.add("GET", "/healthz", healthz)
    router.add("GET", "/version", version)
    router.add("POST", "/v1/authz", authorizer.authorize)
    return router


def follow_notices(messages: Messages, cache: Cache, journal: Journal, stop: threading.Event) -> None:
    """Reload on every notice and after every new subscription, because notices sent in between are lost."""
    while not stop.is_set():
        try:
            messages.subscribe(CHANNEL, cache.reload_soon, lambda _: cache.reload_soon())
        except MessagesError as error:
            journal.warn("subscription lost; retrying", channel=CHANNEL, error=str(error))
            stop.wait(_RESUBSCRIBE_S)


def main(arguments: Sequence[str]) -> int:
    """Run the process.

    Like the real server it opens no port until the apiserver answers; unlike it, it logs why it waits.
    """
    from .redis_messages import RedisMessages  # noqa: PLC0415 - see apiserver.main

    def prepare(config: Config, journal: Journal, stop: Stop) -> Ports:
        if not config.text("client-ca-file"):
            raise ConfigError(
                f"{NAME}: client-ca-file must be the CA that signed the apiserver's certificate (got an empty value)"
            )
        cache = Cache(ApiserverSource(config.text("rpcserver"), config.text("client-ca-file")), journal)
        messages, never = RedisMessages.connect(config), threading.Event()
        recorder = Recorder(
            messages,
            journal,
            size=max(config.number("analytics.records-buffer-size"), 1000),
            flush_s=config.number("analytics.flush-interval") / 1000,
        )
        while not cache.reload():
            if stop.wait(1.0):
                raise StoppedError
        recorder.start()
        threading.Thread(target=cache.follow, args=(never,), daemon=True).start()
        threading.Thread(target=follow_notices, args=(messages, cache, journal, never), daemon=True).start()
        record = recorder.record if config.flag("analytics.enable") else _ignore
        return Ports(public=routes(Authorizer(cache, record)), finish=recorder.finish)

    return run(lambda: load(NAME, arguments, os.environ), prepare)


def _ignore(_: Record) -> None:
    """Used if audit records are disabled. The real server drops the connection in that case."""
