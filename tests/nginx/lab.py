"""A real nginx on loopback with the configuration that the program renders for iam-a."""

from __future__ import annotations

import http.client
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from provisioning import manifest_rendering
from provisioning.deployment import Deployment, Domains, Node
from provisioning.kinds.file import File
from settings.data import DataSettings
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.nginx import NginxSettings
from settings.releases import Release
from tests.nginx.backends import free_port

API, AUTHZ = "iam.api.example.com", "iam.authz.example.com"
NODE_ADDRESSES = ("127.0.0.2", "127.0.0.3")
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
_MODULES = Path("/usr/lib/nginx/modules")


def deployment(nginx: Mapping[str, Any], trusted: tuple[str, ...] = ()) -> Deployment:
    """Two nodes whose services listen on loopback addresses."""
    return Deployment(
        group="tandem-test",
        nodes=tuple(Node(name, address) for name, address in zip(("iam-a", "iam-b"), NODE_ADDRESSES, strict=True)),
        virtual_ips=("10.0.4.99",),
        domains=Domains(API, AUTHZ),
        nginx=NginxSettings.model_validate(nginx),
        keepalived=KeepalivedSettings(),
        iam=IamSettings(),
        data=DataSettings(),
        release=Release("iam-stand-in.tar.gz", "0" * 64, stand_in=True),
        trusted_certificates=frozenset(trusted),
    )


@dataclass(frozen=True)
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        return ", ".join(self.all(name))


@dataclass
class Lab:
    """The files of nginx below a directory, with ports of this test."""

    directory: Path
    ports: dict[int, int] = field(default_factory=dict[int, int])  # port in the configuration -> on loopback
    replaced: dict[str, str] = field(default_factory=dict[str, str])  # further texts
    users: dict[str, str] = field(default_factory=dict[str, str])  # lists of users for basic authentication
    identity: tuple[str, str] | None = None  # a certificate for all sites and its key, instead of one of `ca`
    ca: trustme.CA = field(default_factory=trustme.CA)
    program: str = NGINX
    modules: Path = _MODULES
    process: subprocess.Popen[bytes] | None = None

    def write(self, deployed: Deployment) -> None:
        """Write all files of nginx."""
        for listened in (80, 443, *(stream.port for stream in deployed.nginx.streams)):
            self.ports.setdefault(listened, free_port())
        hosts = [host for site in deployed.nginx.sites for host in site.hosts]
        hosts += [each.tls.host for each in deployed.nginx.streams if each.tls and each.tls.host]
        chain, key = self.identity or self._issue(hosts)
        for item in manifest_rendering.render(deployed)["iam-a"].items:
            if isinstance(item, File) and "nginx" in item.path and not item.path.startswith(("/etc/systemd", "/usr")):
                text = re.sub("@@secret:server_certificate[^@]*@@", chain, item.text)
                text = re.sub("@@secret:server_private_key[^@]*@@", key, text)
                text = re.sub("@@secret:basic_auth.([^@]*)@@", lambda found: self.users[found[1]], text)
                target = self.path(item.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(self._here(text))
        self.path("/etc/nginx/mime.types").write_text("types { text/html html; text/css css; image/png png; }\n")
        for name in ("/var/log/nginx", "/run/tandem", "/srv/acme", "/var/cache/tandem"):
            self.path(name).mkdir(parents=True, exist_ok=True)
        modules = self.path("/etc/nginx/modules-enabled/stream.conf")
        modules.parent.mkdir(exist_ok=True)
        if deployed.nginx.streams:
            modules.write_text(f"load_module {self.modules}/ngx_stream_module.so;\n")

    def _issue(self, hosts: list[str]) -> tuple[str, str]:
        leaf = self.ca.issue_cert(API, AUTHZ, *dict.fromkeys(hosts))
        return b"".join(blob.bytes() for blob in leaf.cert_chain_pems).decode(), leaf.private_key_pem.bytes().decode()

    def _here(self, text: str) -> str:
        for listened, port in self.ports.items():
            text = re.sub(rf"\blisten {listened}\b", f"listen 127.0.0.1:{port}", text)
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        text = re.sub(r"(?<![\w/])/(etc/nginx|var/log/nginx|var/cache/tandem|srv|run)/", rf"{self.directory}/\1/", text)
        return re.sub(r"^user .*$", "user root;", text, flags=re.MULTILINE)

    def path(self, path: str) -> Path:
        """Where a path of the node is."""
        return self.directory / path.lstrip("/")

    def command(self, *arguments: str) -> list[str]:
        configuration = self.path("/etc/nginx/nginx.conf")
        return [
            self.program,
            "-p",
            str(self.directory),
            "-c",
            str(configuration),
            "-e",
            f"{self.directory}/e.log",
            *arguments,
        ]

    def check(self) -> str:
        """Run `nginx -t`. Returns its warnings. Raises: AssertionError if it refuses the configuration."""
        self.path("/run").mkdir(exist_ok=True)
        result = subprocess.run(self.command("-t", "-q"), capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stderr

    def start(self) -> None:
        self.check()
        self.process = subprocess.Popen(self.command("-g", "daemon off;"), stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.ports[80]), 1).close()
            except OSError:
                assert self.process.poll() is None, self.errors()
                time.sleep(0.02)
            else:
                if self.workers():  # the master process listens before they exist
                    return
        raise AssertionError(f"nginx does not listen: {self.errors()}")

    def reload(self) -> None:
        """Reload, and wait until only new workers serve."""
        assert self.process
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while not self.workers() - before or self.workers() & before:
            assert time.monotonic() < deadline, self.errors()
            time.sleep(0.02)

    def workers(self) -> set[str]:
        assert self.process
        pid = self.process.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)

    def errors(self) -> str:
        logs = [self.directory / "e.log", self.path("/var/log/nginx/error.log")]
        return "".join(log.read_text() for log in logs if log.exists())

    def log(self) -> list[str]:
        return self.path("/var/log/nginx/access.log").read_text().splitlines()

    def last_entry(self, text: str) -> str:
        """The newest entry of the access log, once it contains the text: nginx writes it after the response."""
        deadline = time.monotonic() + 5
        while text not in (newest := (self.log() or [""])[-1]) and time.monotonic() < deadline:
            time.sleep(0.01)
        return newest

    @property
    def trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    def connect(self, host: str, *, tls: bool = True, source: str = "127.0.0.1", port: int = 0) -> socket.socket:
        """Open a connection as a client with this address."""
        sock = socket.create_connection(
            ("127.0.0.1", self.ports[port or (443 if tls else 80)]), timeout=15, source_address=(source, 0)
        )
        return self.trust.wrap_socket(sock, server_hostname=host) if tls else sock

    def send(
        self,
        method: str,
        host: str,
        path: str = "/",
        *,
        tls: bool = True,
        source: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send one request as it is written here: the path is not normalized."""
        connection = http.client.HTTPConnection("127.0.0.1", timeout=15)
        connection.sock = self.connect(host, tls=tls, source=source)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            given = {
                "Host": host,
                **({"Content-Length": str(len(body))} if body is not None else {}),
                **(headers or {}),
            }
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Response(response.status, response.getheaders(), response.read())
        finally:
            connection.close()


@contextmanager
def running(directory: Path, nginx: Mapping[str, Any], **options: Any) -> Generator[Lab]:
    """A running nginx. `trusted` names certificates that clients trust; other options are those of Lab."""
    trusted = options.pop("trusted", ())
    lab = Lab(directory, **options)
    lab.write(deployment(nginx, trusted))
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()
