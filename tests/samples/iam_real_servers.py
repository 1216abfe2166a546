"""A group on loopback addresses: real processes with the configuration that provisioning renders.

127.0.0.20 is the private address of the first node, 127.0.0.21 that of the second. Paths move below a temporary
directory, and 127.0.0.1 is replaced by the node's address, because all nodes share one loopback interface. All
processes are children of the test and end with it.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import redis
from iam_certificates import write_certificates

from provisioning import placeholders
from provisioning.agent.kinds.archive import unpack
from provisioning.deployment import Deployment, Domains, Node
from provisioning.kinds.account import Account
from provisioning.kinds.base import Item
from provisioning.kinds.database import Database
from provisioning.kinds.file import File
from provisioning.kinds.grant import Grant
from provisioning.kinds.query import Query
from provisioning.services import iam as iam_service
from provisioning.services import mariadb as mariadb_service
from provisioning.services import redis as redis_service
from settings.data import DataSettings
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.load import find_release
from settings.nginx import NginxSettings
from settings.releases import Release

# pytest-xdist's workers (gw0, gw1 ...) run in parallel, so each uses another loopback network.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
A = Node("iam-a", f"127.0.{_WORKER}.20")
SYSLOG_PORT = 5514
B = Node("iam-b", f"127.0.{_WORKER}.21")
ADMIN_PASSWORD = "Admin@2021"
SERVICES = ("iam-apiserver", "iam-authz-server", "iam-pump")
API, AUTHZ, PUMP = 8080, 9090, 7070
_WRITTEN = ("/etc/iam/", "/etc/mysql/", "/etc/redis/", "/usr/local/")
_PORTS = {"iam-apiserver": API, "iam-authz-server": AUTHZ, "iam-pump": PUMP}
REDIS_PASSWORD = "redisOnlyForThisTest"
_SECRETS = {
    placeholders.MARIADB_IAM_PASSWORD: "mariadbOnlyForThisTest",
    placeholders.REDIS_PASSWORD: REDIS_PASSWORD,
    placeholders.JWT_KEY: "a-key-of-thirty-two-characters-x",
    placeholders.IAM_HEALTH_PASSWORD: "Health@2021",
    placeholders.IAM_HEALTH_PASSWORD_HASH: bcrypt.hashpw(b"Health@2021", bcrypt.gensalt(4)).decode(),
    # Hash of Admin@2021 with cost 4, which makes logins fast.
    placeholders.IAM_ADMIN_PASSWORD_HASH: "$2a$04$6SfFA1X0BEhQRbiz/qLYUuGoz3gtWy.V9diduv5hZRaersetRAQXy",
}


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = 30) -> None:
    until = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {deadline_s} s")
        time.sleep(0.02)


@dataclass
class Process:
    arguments: list[str]
    log: Path
    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            # In a new session, so that an interrupt at the terminal reaches the test only.
            self.child = subprocess.Popen(
                self.arguments, stdout=output, stderr=output, start_new_session=True, cwd=self.log.parent
            )

    def signal(self, number: int) -> None:
        assert self.child
        os.kill(self.child.pid, number)

    def stop(self, deadline_s: float = 30) -> int:
        """Send SIGTERM and wait. Returns the exit code."""
        assert self.child
        self.child.terminate()
        return self.child.wait(deadline_s)

    @property
    def runs(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def kill(self) -> None:
        if self.child and self.runs:
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
            self.child.wait()


def http_status(url: str, timeout_s: float = 2) -> int:
    """Return the status of a GET request, or 0 without a response."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@dataclass
class RealNode:
    """The files and processes of one node."""

    deployment: Deployment
    node: Node
    directory: Path
    release: Path  # directory of the unpacked release
    other_secrets: dict[str, str] = field(default_factory=dict[str, str])
    processes: dict[str, Process] = field(default_factory=dict[str, Process])

    @property
    def items(self) -> list[Item]:
        services = (mariadb_service, redis_service, iam_service)
        return [item for service in services for item in service.desired(self.deployment, self.node)]

    def write_files(self) -> None:
        write_certificates(self.directory, self.node.private_address)
        for below in ("etc/iam", "var/log/redis", "var/lib/redis", "var/lib/iam/audit", "run/redis"):
            (self.directory / below).mkdir(parents=True, exist_ok=True)
        for file in self.items:
            if isinstance(file, File) and file.path.startswith(_WRITTEN):
                path = self.directory / file.path.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self._on_loopback(file.text))

    def secrets(self) -> dict[str, str]:
        def pem(name: str) -> str:
            return (self.directory / name).read_text().strip()

        return {
            **_SECRETS,
            **self.other_secrets,
            placeholders.CA_CERTIFICATE: pem("ca.crt"),
            placeholders.node_certificate(self.node.name): pem("node.crt"),
            placeholders.node_private_key(self.node.name): pem("node.key"),
        }

    def _on_loopback(self, text: str) -> str:
        text = placeholders.substitute(text, self.secrets(), self.node.name)
        text = text.replace("127.0.0.1", self.node.private_address).replace("supervised systemd", "supervised no")
        for place in ("/etc/iam/", "/etc/redis/", "/var/log/", "/var/lib/", "/run/redis/"):
            for before in " ,=":
                text = text.replace(f"{before}{place}", f"{before}{self.directory}{place}")
        return text

    # -- databases ---------------------------------------------------------------------------------------------------

    def start_mariadb(self) -> None:
        data, configuration = self.directory / "d", self.directory / "etc/mysql/mariadb.conf.d/60-tandem.cnf"
        if not data.exists():
            result = subprocess.run(
                ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db",
                 "--auth-root-authentication-method=normal"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert result.returncode == 0, result.stdout + result.stderr
        self._start("mariadb", [
            "mariadbd", f"--defaults-file={configuration}", f"--datadir={data}", "--user=root",
            f"--socket={self.directory}/s", f"--pid-file={self.directory}/pid", "--innodb-flush-log-at-trx-commit=0",
        ])  # fmt: skip
        wait_until(self._mariadb_answers, f"mariadbd, see {self.processes['mariadb'].log}")

    @property
    def _client(self) -> list[str]:
        return ["mariadb", "--no-defaults", f"--socket={self.directory}/s", "--user=root", "--batch"]

    def _mariadb_answers(self) -> bool:
        return subprocess.run([*self._client, "--execute=SELECT 1"], capture_output=True, check=False).returncode == 0

    def sql(self, statements: str, database: str = "") -> str:
        """Run SQL statements as root over the socket, like the agent. Returns the rows."""
        result = subprocess.run(
            [*self._client, "--skip-column-names", *([database] if database else [])],
            input=statements, text=True, capture_output=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    def fill_mariadb(self) -> None:
        """Create accounts, grants and the schema and run the queries, like the agent."""
        for item in self.items:
            match item:
                case Account():
                    password = placeholders.substitute(item.password, self.secrets(), item.host)
                    self.sql(f"CREATE USER '{item.user}'@'{item.host}' IDENTIFIED BY '{password}';")
                case Grant():
                    rights = ", ".join(item.privileges)
                    self.sql(f"GRANT {rights} ON `{item.database}`.* TO '{item.user}'@'{item.host}';")
                case Database():
                    self.sql(f"CREATE DATABASE `{item.name}` DEFAULT CHARACTER SET utf8mb4;")
                    self.sql((self.release / "sql" / "iam.sql").read_text(), item.name)
                case Query():
                    self.run_statement(item)
                case _:
                    pass

    def run_query(self, query: Query) -> bool:
        """Run the query if its condition requires it. Returns whether it ran."""
        secrets = self.secrets()
        if self.sql(placeholders.substitute(query.unless, secrets, query.name) + ";", query.database).strip():
            return False
        self.run_statement(query)
        return True

    def run_statement(self, query: Query) -> None:
        self.sql(placeholders.substitute(query.statement, self.secrets(), query.name) + ";", query.database)

    def refresh(self) -> str:
        """Run the script of iam-refresh.service, as the first node in its interval. Returns its output."""
        with self.redis() as client:
            client.delete("tandem-refreshed")
        return self.refresh_again()

    def refresh_again(self) -> str:
        script = self.directory / "usr/local/lib/tandem/iam-refresh"
        result = subprocess.run(
            ["sh", str(script)], capture_output=True, text=True, check=True,
            env={**os.environ, "REDISCLI_AUTH": REDIS_PASSWORD},
        )  # fmt: skip
        return result.stdout

    def start_redis(self) -> None:
        # On a node the kind redis_password writes this file.
        hashed = hashlib.sha256(REDIS_PASSWORD.encode()).hexdigest()
        (self.directory / "etc/redis/users.acl").write_text(f"user default on #{hashed} ~* &* +@all\n")
        self._start("redis", ["redis-server", str(self.directory / "etc/redis/redis.conf")])
        wait_until(self.redis_answers, f"redis-server, see {self.directory}/var/log/redis/redis-server.log")

    def redis(self) -> redis.Redis:
        return redis.Redis(host=A.private_address, password=REDIS_PASSWORD, socket_timeout=5)

    def redis_answers(self) -> bool:
        try:
            with self.redis() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    # -- services ----------------------------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        for name in names or SERVICES:
            program = self.release / "bin" / name
            # The interpreter of the tests has the libraries of the Python programs.
            interpreter = [sys.executable] if program.read_bytes()[:2] == b"#!" else []
            self._start(name, [*interpreter, str(program), "-c", str(self.directory / f"etc/iam/{name}.yaml")])

    def wait_until_healthy(self, *names: str) -> None:
        for name in names or SERVICES:
            url = f"http://{self.node.private_address}:{_PORTS[name]}/healthz"
            wait_until(lambda url=url: http_status(url) == 200, f"{name}, see {self.processes[name].log}")

    def url(self, port: int, path: str) -> str:
        return f"http://{self.node.private_address}:{port}{path}"

    def _start(self, name: str, arguments: list[str]) -> None:
        process = self.processes.setdefault(name, Process(arguments, self.directory / f"{name}.out"))
        process.start()

    def end(self) -> None:
        for process in reversed(self.processes.values()):
            process.kill()

    def log_of(self, name: str) -> str:
        """Return what the service has printed, which is the journal on a node."""
        return self.processes[name].log.read_text()


@contextmanager
def group(directory: Path, release_path: str = "") -> Generator[tuple[RealNode, RealNode]]:
    """Yield both nodes with their files, and running, initialized databases on the first; services are not started."""
    release = find_release(IamSettings(release=release_path))
    unpacked = directory / "release"
    unpack(Path(release.source), unpacked)
    deployment = deployment_of(release)
    with ExitStack() as stack:
        nodes = [RealNode(deployment, node, directory / node.name, unpacked) for node in deployment.nodes]
        for node in nodes:
            node.directory.mkdir()
            node.write_files()
            stack.callback(node.end)
        first, second = nodes
        first.start_mariadb()
        first.fill_mariadb()
        first.start_redis()
        yield first, second


def deployment_of(release: Release) -> Deployment:
    return Deployment(
        group="test",
        nodes=(A, B),
        virtual_ips=("127.0.0.99",),
        domains=Domains("iam.api.example.com", "iam.authz.example.com"),
        nginx=NginxSettings(),
        keepalived=KeepalivedSettings(),
        iam=IamSettings(audit_interval_s=1, audit_syslog=f"{A.private_address}:{SYSLOG_PORT}"),
        data=DataSettings(buffer_pool_mib=32),
        release=release,
    )
