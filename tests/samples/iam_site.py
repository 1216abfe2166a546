"""The services in the test process, with listeners on loopback, TLS between them and in-memory stores."""

from __future__ import annotations

import http.client
import io
import json
import ssl
import threading
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from iam_fakes import MemoryMessages, MemoryStore

from samples.iam.stand_in import apiserver, authz_server, pump
from samples.iam.stand_in.audit import Recorder
from samples.iam.stand_in.cache import ApiserverSource, Cache
from samples.iam.stand_in.journal import Journal
from samples.iam.stand_in.login import Tokens
from samples.iam.stand_in.messages import Request, Response
from samples.iam.stand_in.records import Metadata, User
from samples.iam.stand_in.stores import Messages, Store
from samples.iam.stand_in.web import Listener, server_context

KEY = "a-key-of-thirty-two-characters-x"
ADMIN_PASSWORD = "Admin@2021"
# Hash of that password with cost 4, which makes logins fast; `test_passwords` tests the full cost.
_ADMIN_HASH = "$2a$04$6SfFA1X0BEhQRbiz/qLYUuGoz3gtWy.V9diduv5hZRaersetRAQXy"
LIFETIME_S = 7200


def make_admin(store: Store) -> None:
    store.create_user(
        User(
            metadata=Metadata("admin"),
            nickname="admin",
            password=_ADMIN_HASH,
            email="admin@example.com",
            phone="10000000000",
            is_admin=1,
        )
    )


def sign(secret: Mapping[str, Any], **claims: object) -> str:
    """Return an authz token signed with a secret of /v1/secrets."""
    body = {"iss": "caller", "aud": "iam.authz.marmotedu.com", "exp": int(time.time()) + 60, **claims}
    return jwt.encode(body, secret["secretKey"], algorithm="HS256", headers={"kid": secret["secretID"]})


@dataclass
class Site:
    """The services and their stores, for tests to inspect and to break."""

    directory: Path
    store: MemoryStore = field(default_factory=MemoryStore)
    messages: MemoryMessages = field(default_factory=MemoryMessages)
    log: io.StringIO = field(default_factory=io.StringIO)
    ports: dict[str, int] = field(default_factory=dict[str, int])
    listeners: dict[str, Listener] = field(default_factory=dict[str, Listener])
    cache: Cache | None = None
    recorder: Recorder | None = None

    @property
    def journal(self) -> Journal:
        return Journal("iam", [self.log])

    @property
    def tokens(self) -> Tokens:
        return Tokens(KEY, LIFETIME_S, LIFETIME_S)

    def send(
        self, server: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Send a request on a new connection, a body other than text as JSON. Returns (status, headers, body)."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        connection = self.connect(server)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def connect(self, server: str) -> http.client.HTTPConnection:
        port = self.ports[server]
        if server.endswith("-tls"):
            context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
            return http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
        return http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def login(self, name: str, password: str) -> dict[str, str]:
        """Log in. Returns the Authorization header."""
        status, _, body = self.send("apiserver", "POST", "/login", {"username": name, "password": password})
        assert status == 200, body
        return {"Authorization": f"Bearer {json.loads(body)['token']}"}

    def wait_until_cached(self, secret_id: str) -> None:
        assert self.cache
        until = time.monotonic() + 5
        while secret_id not in self.cache.snapshot.secrets:
            assert time.monotonic() < until, f"the authz-server has not cached the secret {secret_id}"
            time.sleep(0.01)


@contextmanager
def site(directory: Path) -> Generator[Site]:
    """Run apiservers on one store (one of them with another key), an authz-server and the pump's health page."""
    it = Site(directory)
    make_admin(it.store)
    stop = threading.Event()
    with ExitStack() as stack:
        stack.callback(_drain_all, it.listeners)
        tls = server_context(str(directory / "node.crt"), str(directory / "node.key"))

        def listen(name: str, answer: Any, context: ssl.SSLContext | None = None) -> None:
            listener = Listener(("127.0.0.1", 0), answer, it.journal, tls=context)
            listener.start()
            it.listeners[name], it.ports[name] = listener, listener.port

        notices = apiserver.Notices(it.messages, it.journal)
        public = apiserver.routes(it.store, it.tokens, notices, "iam jwt")
        other = Tokens("another-key-of-32-characters-xxx", LIFETIME_S, LIFETIME_S)
        listen("apiserver", public)
        listen("apiserver-tls", public, tls)
        listen("apiserver-B", apiserver.routes(it.store, it.tokens, notices, "iam jwt"))
        listen("apiserver-B-other-key", apiserver.routes(it.store, other, notices, "iam jwt"))
        listen("feed-tls", apiserver.feed_routes(it.store), tls)

        source = ApiserverSource(f"127.0.0.1:{it.ports['feed-tls']}", str(directory / "ca.crt"))
        it.cache = Cache(source, it.journal)
        assert it.cache.reload()
        it.recorder = Recorder(it.messages, it.journal, size=1000, flush_s=0.02)
        it.recorder.start()
        stack.callback(it.recorder.finish)
        _follow(it.messages, it.cache, it.journal, stop)
        stack.callback(it.messages.cut)
        stack.callback(stop.set)
        decide = authz_server.routes(authz_server.Authorizer(it.cache, it.recorder.record))
        listen("authz-server", decide)
        listen("authz-server-tls", decide, tls)
        listen("authz-server-B", decide)
        listen("pump", pump.health_routes("healthz"))
        yield it


def _drain_all(listeners: Mapping[str, Listener]) -> None:
    with ThreadPoolExecutor() as pool:
        for listener in listeners.values():
            pool.submit(listener.drain, 2)


def _follow(messages: Messages, cache: Cache, journal: Journal, stop: threading.Event) -> None:
    threading.Thread(target=cache.follow, args=(stop,), daemon=True).start()
    threading.Thread(target=authz_server.follow_notices, args=(messages, cache, journal, stop), daemon=True).start()


def call(answer: Any, method: str, path: str, body: object = None, **headers: str) -> Response:
    """Pass a request to a handler without a socket."""
    text = json.dumps(body).encode() if body is not None else b""
    return answer(Request(method, path, {name.replace("_", "-"): value for name, value in headers.items()}, text))
