"""The tables of the checks: those that validate candidates, and those of the health of a node."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Any

from fake_databases import PASSWORD
from kind_bench import (
    ABSENT,
    DRIFTED,
    LINK,
    OTHER_USER,
    OUTSIDE,
    OWNER,
    PRESENT,
    READ_ONLY,
    Bench,
    CheckRow,
    NotApplicable,
    Row,
    Table,
    read_only,
)
from provisioning_fakes import ME, MY_GROUP

from provisioning.agent.web import Response
from provisioning.kinds.base import Item
from provisioning.kinds.check import Check
from provisioning.kinds.endpoint import Endpoint
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.iam_account import IamAccount
from provisioning.kinds.last_run import LastRun
from provisioning.kinds.port import Port
from provisioning.kinds.site import Site
from provisioning.kinds.steady import Steady
from provisioning.kinds.tables import Tables

Arrange = Callable[[Bench], object]
_NO_FILE = NotApplicable("the check asks a running service; it reads and writes no file")
_NO_FILES: dict[str, Row | CheckRow | NotApplicable] = {OWNER: _NO_FILE, LINK: _NO_FILE, READ_ONLY: _NO_FILE}


def _nothing(_bench: Bench) -> None:
    pass


# ---- checks of candidates --------------------------------------------------------------------------------------------

_CONF = "/etc/app/app.conf"


def _is_written(bench: Bench) -> None:
    assert bench.at(_CONF).read_text() == "new\n"


def _refusing(bench: Bench) -> None:
    bench.text(_CONF, "old\n")
    bench.system.refuse = lambda files: "" if files[_CONF] == "right\n" else "app.conf:1: syntax error"


def _accepting(bench: Bench) -> None:
    assert bench.at(_CONF).read_text() == "old\n", "a candidate that was refused is in use"
    bench.system.refuse = lambda _files: ""


def _private_key(bench: Bench) -> None:
    """A file that only the service's user can read: the check, which may run as that user, must see it as it is."""
    bench.text("/etc/app/key", "k\n", 0o600)
    os.chown(bench.at("/etc/app/key"), OTHER_USER, OTHER_USER)

    def look(argv: list[str]) -> None:
        if argv[0] == "unshare":
            copy = bench.at(argv[argv.index("tandem") + 1].removeprefix(str(bench.root))) / "key"
            assert (copy.stat().st_uid, copy.stat().st_mode & 0o777) == (OTHER_USER, 0o600)

    bench.system.on_command = look


CHECK = Table(
    Check("app", ("app", "-t"), ("/etc/app",)),
    {
        ABSENT: Row(_nothing, after=_is_written),
        PRESENT: Row(lambda bench: bench.text(_CONF, "new\n")),
        DRIFTED: Row(_refusing, error="app.conf:1: syntax error", repair=_accepting, after=_is_written),
        OWNER: Row(_private_key, after=_is_written),
        LINK: Row(lambda bench: bench.link("/etc/app/other", f"{OUTSIDE}/file"), after=_is_written),
        READ_ONLY: read_only("/etc/app", lambda bench: bench.text(_CONF, "old\n"), None, after=_is_written),
    },
    others=(File(_CONF, "new\n", ME, MY_GROUP),),
)

# ---- health ----------------------------------------------------------------------------------------------------------


def _answers(status: str) -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.group.answers = lambda _node, _url: status

    return arrange


GATE = Table(
    Gate("app", "http://10.0.4.20/healthz"),
    {
        ABSENT: CheckRow(
            _answers("ConnectionRefusedError"), "fail app responds: http://10.0.4.20/healthz: ConnectionRefusedError"
        ),
        PRESENT: CheckRow(_answers("200"), "ok responds: app"),
        DRIFTED: CheckRow(_answers("502"), "fail app responds: http://10.0.4.20/healthz: 502, must be 200"),
        **_NO_FILES,
    },
)


def _shown(**properties: str) -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.text("/proc/uptime", "100.0 1.0\n")
        bench.system.shown = properties

    return arrange


STEADY = Table(
    Steady("app", run_s=10),
    {
        ABSENT: CheckRow(_shown(ActiveState="inactive", SubState="dead"), "fail app: inactive (dead), must run"),
        PRESENT: CheckRow(_shown(ActiveState="active", ActiveEnterTimestampMonotonic="50000000"), "ok runs: app"),
        DRIFTED: CheckRow(
            _shown(ActiveState="active", ActiveEnterTimestampMonotonic="95000000"),
            "fail app: runs for 5 s, must run for 10 s",
        ),
        **_NO_FILES,
    },
)

LAST_RUN = Table(
    LastRun("backup"),
    {
        ABSENT: CheckRow(_shown(Result="success", ExecMainStatus="0"), "ok scheduled: backup"),  # it has never run
        PRESENT: CheckRow(_shown(Result="success", ExecMainStatus="0"), "ok scheduled: backup"),
        DRIFTED: CheckRow(
            _shown(Result="exit-code", ExecMainStatus="1"),
            "fail scheduled backup: the last run failed (exit-code, exit status 1)",
        ),
        **_NO_FILES,
    },
)


def _listening(line: str) -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.system.listening = line

    return arrange


PORT = Table(
    Port("app", "10.0.4.20", 8080),
    {
        ABSENT: CheckRow(_listening(""), "fail port 8080: app does not listen on 10.0.4.20:8080"),
        PRESENT: CheckRow(_listening("LISTEN 0 9 10.0.4.20:8080 0.0.0.0:*\n"), "ok ports: 8080"),
        DRIFTED: CheckRow(
            _listening("LISTEN 0 9 127.0.0.1:8080 0.0.0.0:*\n"), "fail port 8080: app does not listen on 10.0.4.20:8080"
        ),
        **_NO_FILES,
    },
)


def _endpoint(bench: Bench) -> Item:
    return Endpoint("redis", "127.0.0.1", bench.redis_port, password=bench.redis.expected or PASSWORD)


def _no_redis(bench: Bench) -> None:
    bench.redis.refuses = "LOADING Redis is loading the dataset in memory"


def _other_password(bench: Bench) -> None:
    bench.redis.expected = "another password"


ENDPOINT = Table(
    _endpoint,
    {
        ABSENT: CheckRow(_no_redis, "fail database redis: 127.0.0.1:"),
        PRESENT: CheckRow(_nothing, "ok databases: redis"),
        DRIFTED: CheckRow(_other_password, "fail database redis: 127.0.0.1:"),
        **_NO_FILES,
    },
)

_CERTIFICATE = "/etc/nginx/tls/api.crt"


def _site(deployed: bytes | None, presented: bytes, status: int = 200) -> Arrange:
    def arrange(bench: Bench) -> None:
        if deployed is not None:
            bench.text(_CERTIFICATE, ssl.DER_cert_to_PEM_cert(deployed))
        bench.respond = lambda *_arguments, **_options: Response(status, "ok", presented)

    return arrange


def _linked_certificate(bench: Bench) -> None:
    _site(None, b"one")(bench)
    bench.text("/etc/ssl/api.crt", ssl.DER_cert_to_PEM_cert(b"one"))
    bench.link(_CERTIFICATE, "/etc/ssl/api.crt")


def _certificate_on_a_disk(bench: Bench) -> None:
    bench.disk("/etc/nginx", locked=True)
    _site(b"one", b"one")(bench)


_OTHER = f"fail nginx api.example.com: presents another certificate than {_CERTIFICATE}"
SITE = Table(
    Site("api.example.com", "10.0.4.20", _CERTIFICATE),
    {
        ABSENT: CheckRow(_site(b"one", b"", 0), "fail nginx api.example.com: https://api.example.com/healthz"),
        PRESENT: CheckRow(_site(b"one", b"one"), "ok nginx: api.example.com"),
        DRIFTED: CheckRow(_site(b"two", b"one"), _OTHER),
        OWNER: NotApplicable("owner and mode of the certificate are compared by the kind `file`"),
        LINK: CheckRow(_linked_certificate, "ok nginx: api.example.com"),
        READ_ONLY: CheckRow(_certificate_on_a_disk, "ok nginx: api.example.com"),
        "no certificate": CheckRow(
            _site(None, b"one"), "fail nginx api.example.com: /etc/nginx/tls/api.crt holds no certificate"
        ),
    },
)


def _iam(login: int, decision: str = '{"allowed":true}') -> Arrange:
    def respond(method: str, url: str, **_options: Any) -> Response:
        secret = '{"items":[{"metadata":{"name":"tandem-health"},"secretID":"i","secretKey":"k"}]}'
        answers = {
            "POST login": Response(login, '{"token":"t"}' if login == 200 else "{}"),
            "POST v1/users": Response(400, '{"code":110002}'),
            "GET v1/secrets": Response(200, secret),
            "POST v1/authz": Response(200, decision),
        }
        return answers[f"{method} {url.split('/', 3)[3].partition('?')[0]}"]

    def arrange(bench: Bench) -> None:
        bench.respond = respond

    return arrange


def _refused(*_request: str, **_options: Any) -> Response:
    return Response(0, "ConnectionRefusedError")


IAM_ACCOUNT = Table(
    IamAccount("http://10.0.4.20:8080", "http://10.0.4.20:9090", "Health-1234"),
    {
        ABSENT: CheckRow(
            lambda bench: setattr(bench, "respond", _refused),
            "fail login: POST http://10.0.4.20:8080/login: ConnectionRefusedError",
        ),
        PRESENT: CheckRow(_iam(200), "ok login: as tandem-health"),
        DRIFTED: CheckRow(_iam(401), "warning login: cannot log in as tandem-health"),
        **_NO_FILES,
    },
)


def _tables(*names: str) -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.text("/opt/iam.sql", "CREATE TABLE IF NOT EXISTS `user` (\n id INT);\ncreate table Policy (id INT);\n")
        bench.system.server.tables = names

    return arrange


TABLES_OF_A_DATABASE = Table(
    Tables("iam", "/opt/iam.sql"),
    {
        ABSENT: CheckRow(_tables("user"), "fail tables of iam: missing: Policy"),
        PRESENT: CheckRow(_tables("user", "policy", "mine"), "ok databases: tables of iam"),
        DRIFTED: CheckRow(_tables("policy"), "fail tables of iam: missing: user"),
        **_NO_FILES,
    },
)

TABLES = {
    "check": CHECK,
    "endpoint": ENDPOINT,
    "gate": GATE,
    "iam_account": IAM_ACCOUNT,
    "last_run": LAST_RUN,
    "port": PORT,
    "site": SITE,
    "steady": STEADY,
    "tables": TABLES_OF_A_DATABASE,
}
