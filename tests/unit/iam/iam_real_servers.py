"""MariaDB, Redis and the three services as processes on loopback, in a temporary directory. Ends what it started."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
import redis

from samples.iam.build import build

ACCOUNT_PASSWORD = "only-for-this-test"
REDIS_PASSWORD = "redis-only-for-this-test"
JWT_KEY = "a-key-of-thirty-two-characters-x"
# Admin@2021 with bcrypt at cost 4, so that the test's logins are quick.
ADMIN_HASH = "$2a$04$6SfFA1X0BEhQRbiz/qLYUuGoz3gtWy.V9diduv5hZRaersetRAQXy"
_MARIADB_COMMANDS = ("mariadbd", "mariadb-install-db", "mariadb")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(true: Callable[[], bool], what: str, deadline_s: float = 30) -> None:
    until = time.monotonic() + deadline_s
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come about within {deadline_s} s")
        time.sleep(0.05)


@dataclass
class Process:
    """A child in a session of its own, so that a signal to the test's terminal does not reach it."""

    arguments: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(
                self.arguments, stdout=output, stderr=output, start_new_session=True,
                env={**os.environ, **self.environment},
            )  # fmt: skip

    def stop(self, number: int = signal.SIGTERM, deadline_s: float = 20) -> int:
        assert self.child
        self.child.send_signal(number)
        return self.child.wait(deadline_s)

    @property
    def runs(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def end(self) -> None:
        if self.child and self.runs:
            self.child.kill()
            self.child.wait()


@dataclass
class MariaDb:
    directory: Path
    port: int
    process: Process

    def root(self, statements: str, database: str = "") -> str:
        command = ["mariadb", f"--socket={self.directory}/s", "--user=root", "--batch", "--skip-column-names"]
        told = subprocess.run(
            [*command, *([database] if database else [])], input=statements, text=True, capture_output=True, check=False
        )
        assert told.returncode == 0, told.stderr
        return told.stdout

    def wait_until_ready(self) -> None:
        wait_until(lambda: self._answers(), f"mariadbd, see {self.process.log}")

    def _answers(self) -> bool:
        try:
            pymysql.connect(unix_socket=f"{self.directory}/s", user="root").close()
        except pymysql.Error:
            return False
        return True


@contextmanager
def mariadb_server(directory: Path) -> Iterator[MariaDb]:
    """An empty server, or a skip-worthy FileNotFoundError where MariaDB is not installed."""
    for command in _MARIADB_COMMANDS:
        if not shutil.which(command):
            raise FileNotFoundError(command)
    data = directory / "d"
    subprocess.run(
        ["mariadb-install-db", f"--datadir={data}", "--user=root", "--skip-test-db", "--auth-root-authentication-method=normal"],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    arguments = [
        "mariadbd", "--no-defaults", f"--datadir={data}", "--user=root", f"--socket={directory}/s",
        "--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=32M", f"--pid-file={directory}/pid",
    ]  # fmt: skip
    process = Process(arguments, directory / "mariadbd.log")
    process.start()
    try:
        server = MariaDb(directory, port, process)
        server.wait_until_ready()
        yield server
    finally:
        process.end()


@contextmanager
def redis_server(directory: Path) -> Iterator[tuple[Process, int]]:
    if not shutil.which("redis-server"):
        raise FileNotFoundError("redis-server")
    port = free_port()
    arguments = [
        "redis-server", "--bind", "127.0.0.1", "--port", str(port), "--requirepass", REDIS_PASSWORD,
        "--dir", str(directory), "--save", "",
    ]  # fmt: skip
    process = Process(arguments, directory / "redis.log")
    process.start()
    try:
        wait_until(lambda: redis_answers(port), f"redis-server, see {process.log}")
        yield process, port
    finally:
        process.end()


def redis_client(port: int) -> redis.Redis:
    return redis.Redis(port=port, password=REDIS_PASSWORD, socket_timeout=5)


def redis_answers(port: int) -> bool:
    try:
        with redis_client(port) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def load_schema(server: MariaDb, release: Path, accounts: tuple[str, ...] = ("127.0.0.1",)) -> None:
    """What provisioning does: database, accounts, schema, the administrator."""
    server.root("CREATE DATABASE iam DEFAULT CHARACTER SET utf8mb4;")
    rights = "SELECT, INSERT, UPDATE, DELETE, TRIGGER"
    for host in accounts:
        server.root(
            f"CREATE USER iam@'{host}' IDENTIFIED BY '{ACCOUNT_PASSWORD}'; GRANT {rights} ON iam.* TO iam@'{host}';"
        )
    server.root((release / "sql" / "iam.sql").read_text(), "iam")
    server.root(
        "INSERT INTO user (instanceID, name, nickname, password, email, phone, isAdmin, extendShadow) VALUES "
        f"('user-admin', 'admin', 'admin', '{ADMIN_HASH}', 'admin@example.com', '10000000000', 1, '{{}}') "
        "ON DUPLICATE KEY UPDATE password = VALUES(password);",
        "iam",
    )


@dataclass
class Services:
    """The three services of one machine; `address` is a loopback address that stands for its private one."""

    release: Path
    directory: Path
    mariadb_port: int
    redis_port: int
    address: str = "127.0.0.1"
    processes: dict[str, Process] = field(default_factory=dict[str, Process])
    ports: dict[str, int] = field(default_factory=dict[str, int])

    def start(self, name: str) -> Process:
        """Without waiting."""
        process = self.processes.setdefault(
            name, Process([*_launcher(self.release, name), "-c", str(self.write(name))], self.directory / f"{name}.out")
        )
        process.start()
        return process

    def write(self, name: str) -> Path:
        for key in ("api", "api-tls", "grpc", "authz", "authz-tls", "pump"):
            self.ports.setdefault(key, free_port())
        path = self.directory / f"{name}.yaml"
        path.write_text(_CONFIGURATIONS[name].format(**self._values(name)))
        return path

    def wait_until_healthy(self, name: str) -> None:
        port, log = self.ports[_HEALTH[name]], self.directory / f"{name}.out"
        wait_until(lambda: answers(f"http://{self.address}:{port}/healthz"), f"{name}, see {log}")

    def end(self) -> None:
        for process in self.processes.values():
            process.end()

    def _values(self, name: str) -> dict[str, object]:
        return {
            "name": name,
            "address": self.address,
            "directory": self.directory,
            "mariadb_port": self.mariadb_port,
            "mariadb_password": ACCOUNT_PASSWORD,
            "redis_port": self.redis_port,
            "redis_password": REDIS_PASSWORD,
            "jwt_key": JWT_KEY,
            **{key.replace("-", "_"): port for key, port in self.ports.items()},
        }


_HEALTH = {"iam-apiserver": "api", "iam-authz-server": "authz", "iam-pump": "pump"}


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def unpack_release(directory: Path) -> Path:
    """The stand-in as it lies on a machine."""
    archive = directory / "release.tar.gz"
    build(archive)
    target = directory / "release"
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return target


def _launcher(release: Path, name: str) -> list[str]:
    """Programs in Python run with the interpreter of the tests, which has their libraries; real ones by themselves."""
    program = release / "bin" / name
    is_script = program.read_bytes()[:2] == b"#!"
    return [sys.executable, str(program)] if is_script else [str(program)]


_SERVING = """
server: {{mode: release, middlewares: "recovery,logger,secure,nocache"}}
secure: {{bind-address: {address}, bind-port: {SECURE}, tls: {{cert-key: {{cert-file: {directory}/node.crt, private-key-file: {directory}/node.key}}}}}}
insecure: {{bind-address: {address}, bind-port: {PLAIN}}}
feature: {{profiling: false, enable-metrics: false}}
"""
_COMMON = """
redis: {{host: 127.0.0.1, port: {redis_port}, password: "{redis_password}", database: 0}}
log: {{level: info, format: console, disable-stacktrace: true, output-paths: "stdout,{directory}/{name}.log"}}
"""
_CONFIGURATIONS = {
    "iam-apiserver": _SERVING.replace("{SECURE}", "{api_tls}").replace("{PLAIN}", "{api}")
    + _COMMON
    + """
grpc: {{bind-address: {address}, bind-port: {grpc}}}
mysql: {{host: "127.0.0.1:{mariadb_port}", username: iam, password: "{mariadb_password}", database: iam}}
jwt: {{realm: iam jwt, key: "{jwt_key}", timeout: 7200s, max-refresh: 7200s}}
""",
    "iam-authz-server": _SERVING.replace("{SECURE}", "{authz_tls}").replace("{PLAIN}", "{authz}")
    + _COMMON
    + """
rpcserver: "{address}:{grpc}"
client-ca-file: {directory}/ca.crt
analytics: {{enable: true, flush-interval: 100}}
""",
    "iam-pump": _COMMON
    + """
purge-delay: 1
health-check-address: "{address}:{pump}"
pumps: {{csv: {{type: csv, meta: {{csv_dir: {directory}/audit}}}}}}
""",
}
