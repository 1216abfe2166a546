"""nginx under many connections, and its logs while they are rotated."""

from __future__ import annotations

import json
import re
import resource
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from provisioning import manifest_rendering
from tests.nginx.backends import Backend
from tests.nginx.lab import API, NODE_ADDRESSES, Lab, deployment, running

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
IDLE = 3000


@contextmanager
def many_descriptors(count: int) -> Generator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.root
def test_3000_idle_connections_do_not_delay_requests(tmp_path: Path) -> None:
    """The master process starts with systemd's default of 1024 descriptors; the workers raise their limit."""
    with ExitStack() as stack:
        backends = [Backend(address, address) for address in NODE_ADDRESSES]
        for backend in backends:
            backend.start()
            stack.callback(backend.stop)
        replaced = {f"{each.address}:8080 ": f"{each.address}:{each.port} " for each in backends}
        stack.enter_context(many_descriptors(1024))
        lab = stack.enter_context(running(tmp_path, {"workerProcesses": 2}, replaced=replaced))
        stack.enter_context(many_descriptors(IDLE + 1000))
        context = lab.trust
        for _ in range(IDLE):
            stack.enter_context(_idle_tls(lab, context))
        for _ in range(20):
            assert lab.send("GET", API, "/v1/x").status == 200
            assert lab.send("GET", "127.0.0.1", "/healthz", tls=False).status == 200
        limits = {Path(f"/proc/{worker}/limits").read_text() for worker in lab.workers()}
        assert all(re.search(r"Max open files\s+9216\b", text) for text in limits)
        assert "Too many open files" not in lab.errors()
        assert "worker_connections are not enough" not in lab.errors()


def _idle_tls(lab: Lab, context: ssl.SSLContext) -> socket.socket:
    """A connection that has done its handshake and sends nothing."""
    return context.wrap_socket(socket.create_connection(("127.0.0.1", lab.ports[443]), 15), server_hostname=API)


def test_the_unit_and_the_workers_may_open_two_files_for_each_connection() -> None:
    files = manifest_rendering.render(deployment({"workerConnections": 500_000}))["iam-a"].files()
    workers = re.search(r"worker_rlimit_nofile (\d+);", files["/etc/nginx/nginx.conf"])
    unit = re.search(r"LimitNOFILE=(\d+)", files["/etc/systemd/system/nginx.service.d/tandem.conf"])
    assert workers
    assert unit
    assert 2 * 500_000 <= int(workers[1]) <= int(unit[1])


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="logrotate is not installed")
def test_rotating_the_logs_loses_no_line(tmp_path: Path) -> None:
    with running(tmp_path, {}) as lab:
        rules = tmp_path / "logrotate.conf"
        # `adm` need not exist where the test runs.
        rules.write_text(lab.path("/etc/logrotate.d/nginx").read_text().replace("www-data adm", "root root"))
        rules.chmod(0o644)
        stop, sent = threading.Event(), list[int]()

        def ask(number: int) -> None:
            count = 0
            while not stop.is_set():
                assert lab.send("GET", API, f"/metrics?{number}-{count}").status == 404
                count += 1
            sent.append(count)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        logs = lab.path("/var/log/nginx")
        for _ in range(3):
            while len(lab.log()) < 5:
                time.sleep(0.01)
            command = ["logrotate", "--force", "--state", str(tmp_path / "state"), str(rules)]
            subprocess.run(command, check=True, capture_output=True)
        stop.set()
        for thread in threads:
            thread.join()
        lab.stop()
        lab.process = None
        texts = [_read(path) for path in logs.iterdir() if path.name.startswith("access.log")]
        seen = [json.loads(line)["uri"] for text in texts for line in text.splitlines()]
        assert len(texts) == 4
        assert sorted(seen) == sorted(
            f"/metrics?{number}-{count}" for number in range(2) for count in range(seen_by(seen, number))
        )
        assert len(seen) == sum(sent)


def seen_by(uris: list[str], number: int) -> int:
    return sum(uri.startswith(f"/metrics?{number}-") for uri in uris)


def _read(path: Path) -> str:
    if path.suffix == ".gz":
        return subprocess.run(["gzip", "-dc", str(path)], check=True, capture_output=True, text=True).stdout
    return path.read_text()


def test_the_text_format_has_the_facts_of_the_lectures(tmp_path: Path) -> None:
    with running(tmp_path, {"accessLog": {"format": "text"}}) as lab:
        lab.send("GET", API, "/metrics")
        assert re.match(
            r'127\.0\.0\.1 - - \[.*\] "GET /metrics HTTP/1\.1" 404 .* request_id=[0-9a-f]{32}$',
            lab.last_entry("GET /metrics"),
        )
