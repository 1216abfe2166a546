"""Measure the latency of an IAM deployment: `python -m samples.iam.benchmark --api URL --authz URL [--seconds 3]`.

Works with the stand-in and the real services, with the addresses of a node or through the public IP. Creates a user
with a secret and a policy, and deletes it at the end. IAM_ADMIN_USERNAME and IAM_ADMIN_PASSWORD are an administrator's
credentials.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import secrets
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import jwt

_CONNECTIONS = 8
# A server that is starting may miss the notice; iam-refresh.timer repeats it (iam.refreshIntervalS).
_NOTICE_S = 90


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    rate: float  # responses per second over all connections
    median_ms: float
    p99_ms: float
    wrong: int  # responses with a status other than 200

    def __str__(self) -> str:
        return f"{self.what:30} {self.rate:9.0f}/s {self.median_ms:8.2f} ms {self.p99_ms:8.2f} ms {self.wrong:6d}"


class Server:
    """One service, with one connection per thread."""

    def __init__(self, url: str, host: str, ca_file: str | None) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._address = (parts.hostname or "", parts.port or (443 if self._secure else 80))
        self._headers = {"Host": host} if host else {}
        self._context = ssl.create_default_context(cafile=ca_file)
        self._local = threading.local()

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> int:
        return self.ask_for_json(method, path, body, headers)[0]

    def ask_for_json(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str]]:
        """Return (status, response). Raises OSError."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
        data = None if body is None else json.dumps(body)
        sent = {**self._headers, **({"Content-Type": "application/json"} if data else {}), **(headers or {})}
        try:
            self._local.connection.request(method, path, data, sent)
            answer = self._local.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self._local.connection.close()
            raise
        return answer.status, json.loads(text) if text[:1] == b"{" else {}

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(*self._address, timeout=20, context=self._context)
        return http.client.HTTPConnection(*self._address, timeout=20)


def measure(what: str, ask: Callable[[], int], seconds: float) -> Row:
    """Send requests over all connections concurrently, each as soon as the previous response has arrived."""
    took: list[float] = []
    wrong: list[int] = []
    until = time.monotonic() + seconds

    def work() -> None:
        while (began := time.monotonic()) < until:
            try:
                status = ask()
            except (OSError, http.client.HTTPException):
                status = 0
            took.append(time.monotonic() - began)
            if status != http.client.OK:
                wrong.append(status)

    threads = [threading.Thread(target=work) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return Row(what, len(took) / seconds, statistics.median(took) * 1000, p99 * 1000, len(wrong))


@dataclass(frozen=True, slots=True)
class Guest:
    """The user that the benchmark creates."""

    name: str
    password: str
    bearer: Mapping[str, str]
    authz: Mapping[str, str]

    @property
    def login(self) -> dict[str, str]:
        return {"username": self.name, "password": self.password}


def make_guest(api: Server, administrator: Mapping[str, str]) -> Guest:
    """Create the user as administrator, because nginx closes open registration. Raises SystemExit with the response."""
    name, password = f"bench-{secrets.token_hex(4)}", "Bench@2026x"
    body = {"metadata": {"name": name}, "nickname": name, "password": password, "email": f"{name}@example.com"}
    _must(api.ask_for_json("POST", "/v1/users", body, administrator), "creating a user")
    token = _must(api.ask_for_json("POST", "/login", {"username": name, "password": password}), "login")["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    policy = {"subjects": ["users:<.*>"], "actions": ["read"], "resources": ["res:<.*>"], "effect": "allow"}
    _must(api.ask_for_json("POST", "/v1/policies", {"metadata": {"name": "b"}, "policy": policy}, bearer), "a policy")
    secret = _must(api.ask_for_json("POST", "/v1/secrets", {"metadata": {"name": "b"}}, bearer), "a secret")
    signed = jwt.encode({"exp": int(time.time()) + 3600}, secret["secretKey"], headers={"kid": secret["secretID"]})
    return Guest(name, password, bearer, {"Authorization": f"Bearer {signed}"})


def _must(answer: tuple[int, dict[str, str]], what: str) -> dict[str, str]:
    if answer[0] != http.client.OK:
        raise SystemExit(f"{what}: {answer[0]} {answer[1]}")
    return answer[1]


def run(api: Server, authz: Server, guest: Guest, seconds: float) -> list[Row]:
    question = {"subject": "users:x", "action": "read", "resource": "res:1"}
    until = time.monotonic() + _NOTICE_S
    while (status := authz.ask("POST", "/v1/authz", question, guest.authz)) != http.client.OK:
        if time.monotonic() > until:
            raise SystemExit(f"the authz-server does not know the new secret after {_NOTICE_S} s: {status}")
        time.sleep(0.2)
    asked: dict[str, Callable[[], int]] = {
        "GET /healthz (apiserver)": lambda: api.ask("GET", "/healthz"),
        "GET /healthz (authz-server)": lambda: authz.ask("GET", "/healthz"),
        "POST /v1/authz": lambda: authz.ask("POST", "/v1/authz", question, guest.authz),
        "GET /v1/secrets?limit=1": lambda: api.ask("GET", "/v1/secrets?limit=1", None, guest.bearer),
        "POST /login": lambda: api.ask("POST", "/login", guest.login),
    }
    return [measure(what, ask, seconds) for what, ask in asked.items()]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m samples.iam.benchmark", description=__doc__)
    parser.add_argument("--api", required=True, help="URL of iam-apiserver, e.g. http://10.0.4.20:8080")
    parser.add_argument("--authz", required=True, help="URL of iam-authz-server, e.g. http://10.0.4.20:9090")
    parser.add_argument("--api-host", default="", help="Host header, if the URL is an address behind nginx")
    parser.add_argument("--authz-host", default="", help="Host header for --authz")
    parser.add_argument("--ca-file", default=None, help="CA certificate (PEM) of an https URL")
    parser.add_argument("--seconds", type=float, default=3, help="seconds for each row")
    given = parser.parse_args()
    api = Server(given.api, given.api_host, given.ca_file)
    authz = Server(given.authz, given.authz_host, given.ca_file)
    name, password = os.environ.get("IAM_ADMIN_USERNAME", "admin"), os.environ.get("IAM_ADMIN_PASSWORD", "")
    login = {"username": name, "password": password}
    token = _must(api.ask_for_json("POST", "/login", login), f"login as {name} (IAM_ADMIN_PASSWORD)")["token"]
    administrator = {"Authorization": f"Bearer {token}"}
    guest = make_guest(api, administrator)
    try:
        print(f"{'':30} {'rate':>11} {'median':>11} {'p99':>11} {'wrong':>6}   {_CONNECTIONS} connections")
        for row in run(api, authz, guest, given.seconds):
            print(row)
    finally:
        api.ask("DELETE", f"/v1/users/{guest.name}", None, administrator)


if __name__ == "__main__":
    main()
