"""The lectures' files (tests/seed, with each correction listed) on two real machines."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Generator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from localcloud.expose import Exposed
from localcloud.machines.machine_faults import MachineFaults

from .lab import PLACES, PUBLIC, Lab, in_a_loop, wait_until

pytestmark = pytest.mark.root

ANN, BOB = PLACES["ann"], PLACES["bob"]
_SEED = Path(__file__).resolve().parents[2] / "seed"
_PORT = 18004
# Three advertisement intervals of a second plus the skew: then the backup takes over. Scripts run every 2 to 5 s.
_MASTER_DOWN_S = 3.6
_SCRIPT_S = 5.0


@pytest.fixture(scope="module")
def services() -> Generator[Lab]:
    made = Lab(image="img-services", machines=("ann", "bob"))
    try:
        made.open()
        for name in ("ann", "bob"):
            # Debian's default site has its own page.
            page = f"echo page of {name} >/var/www/html/index.html"
            made.must(name, "sh", "-c", f"rm /var/www/html/*; {page}; systemctl start nginx")
        yield made
    finally:
        made.close()


def test_the_services_image_has_all_services_installed_and_none_running(services: Lab) -> None:
    units = ("nginx", "keepalived", "mariadb", "redis-server")
    # The fixture has started nginx, as all tests here need it.
    assert services.run("bob", "systemctl", "is-enabled", *units).stdout.split() == ["disabled"] * 4
    assert services.run("bob", "systemctl", "is-active", *units[1:]).stdout.split() == ["inactive"] * 3
    services.must("bob", "systemctl", "start", "mariadb", "redis-server")
    assert services.must("bob", "mariadb", "-Ne", "SELECT 6 * 7") == "42\n"
    assert services.must("bob", "redis-cli", "ping") == "PONG\n"
    services.must("bob", "systemctl", "stop", "mariadb", "redis-server")


def _install(lab: Lab, name: str, files: dict[str, Path]) -> None:
    for path, source in files.items():
        lab.must(name, "sh", "-c", f"mkdir -p {Path(path).parent} && cat >{path}", text=source.read_text())
    lab.must(name, "sh", "-c", "chmod 755 /etc/keepalived/*.sh 2>/dev/null; keepalived -t")


def _page(lab: Lab) -> str:
    """Return the page that the internet sees through the EIP."""
    return lab.client("curl", "-s", "--max-time", "1", f"http://{PUBLIC}/").stdout.strip()


def _log(lab: Lab, name: str) -> list[str]:
    text = lab.run(name, "cat", "/var/log/keepalived.log").stdout
    lines = text.splitlines()
    assert all(re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] notify_\w+", line) for line in lines)
    return [line.split()[-1] for line in lines]


def _new(lab: Lab, name: str, before: list[str]) -> list[str]:
    return _log(lab, name)[len(before) :]


def test_lecture_001_fails_over_in_its_three_scenarios_and_the_eip_follows(services: Lab) -> None:
    lab = services
    folder = _SEED / "lecture-001"
    for place in (ANN, BOB):
        _install(
            lab,
            place.name,
            {
                "/etc/keepalived/keepalived.conf": folder / place.address / "keepalived.conf",
                "/etc/keepalived/check_nginx.sh": folder / "check_nginx.sh",
                "/etc/keepalived/keepalived_notify.sh": folder / "keepalived_notify.sh",
                "/run/systemd/system/keepalived.service.d/notify.conf": folder / "keepalived.service.d.conf",
            },
        )
        lab.must(place.name, "systemctl", "daemon-reload")
    lab.must("ann", "systemctl", "start", "keepalived")
    wait_until(lambda: lab.holder() == ANN.instance_id, "10.0.4.20 holds the address", 15)
    lab.must("bob", "systemctl", "start", "keepalived")
    wait_until(lambda: _page(lab) == "page of ann", "the EIP reaches 10.0.4.20", 15)
    wait_until(lambda: "notify_backup" in _log(lab, "bob"), "10.0.4.21 is backup", 15)

    # Scenario 1: keepalived fails.
    ann, bob = _log(lab, "ann"), _log(lab, "bob")
    lab.must("ann", "systemctl", "stop", "keepalived")
    wait_until(lambda: lab.holder() == BOB.instance_id, "10.0.4.21 holds the address", _MASTER_DOWN_S + 3)
    wait_until(lambda: _page(lab) == "page of bob", "the EIP follows", 10)
    wait_until(lambda: _new(lab, "ann", ann) == ["notify_stop"], "the old master logs it", 20)
    wait_until(lambda: _new(lab, "bob", bob) == ["notify_master"], "the new master logs it", 20)

    # Scenario 2: nginx fails. First 10.0.4.20 becomes master again, as in the lecture.
    lab.must("ann", "systemctl", "restart", "keepalived")
    wait_until(lambda: _log(lab, "ann")[-1] == "notify_backup", "10.0.4.20 is backup", 15)
    lab.must("bob", "systemctl", "restart", "keepalived")
    wait_until(lambda: _page(lab) == "page of ann", "the EIP reaches 10.0.4.20 again", 15)
    wait_until(lambda: _log(lab, "bob")[-1] == "notify_backup", "10.0.4.21 is backup", 15)
    ann, bob = _log(lab, "ann"), _log(lab, "bob")
    lab.must("ann", "systemctl", "stop", "nginx")
    wait_until(lambda: lab.holder() == BOB.instance_id, "10.0.4.21 holds the address", _SCRIPT_S + _MASTER_DOWN_S + 3)
    wait_until(lambda: _page(lab) == "page of bob", "the EIP follows", 10)
    wait_until(lambda: _new(lab, "ann", ann) == ["notify_fault"], "the old master logs it", 20)
    wait_until(lambda: _new(lab, "bob", bob) == ["notify_master"], "the new master logs it", 20)

    # Scenario 3: nginx recovers, and the address does not move back.
    ann, bob = _log(lab, "ann"), _log(lab, "bob")
    lab.must("ann", "systemctl", "start", "nginx")
    wait_until(lambda: _new(lab, "ann", ann) == ["notify_backup"], "the recovery is logged", 20)
    time.sleep(_MASTER_DOWN_S)
    assert _new(lab, "bob", bob) == []
    assert _page(lab) == "page of bob"
    assert lab.holder() == BOB.instance_id


def _title() -> str:
    """Return the page title on the host's port, or the empty string."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/", timeout=1) as answer:
            return answer.read().decode().split("<title>")[1].split("</title>")[0]
    except OSError:
        return ""


def test_lecture_004_fails_over_while_the_master_is_paused_and_back_when_it_resumes(services: Lab) -> None:
    lab = services
    folder = _SEED / "lecture-004"
    for place, role in ((ANN, "master"), (BOB, "slave")):
        lab.must(place.name, "systemctl", "stop", "keepalived")
        _install(
            lab,
            place.name,
            {
                "/etc/keepalived/keepalived.conf": folder / f"keepalived-{role}.conf",
                "/etc/keepalived/check_nginx.sh": folder / "check_nginx.sh",
                "/var/www/html/index.html": folder / f"index-{role}.html",
            },
        )
        lab.must(place.name, "systemctl", "start", "nginx", "keepalived")
    faults = MachineFaults(lab.infrastructure)
    exposed = Exposed(lab.infrastructure.namespaces)
    with in_a_loop() as run:
        run(exposed.open(IPv4Address(PUBLIC), 80, _PORT))
        try:
            wait_until(lambda: _title() == "主机", "the master's page is shown", 20)
            faults.inject("ann", "pause", [])
            took_s = wait_until(lambda: _title() == "从机", "the slave's page is shown", 15)
            assert took_s < _MASTER_DOWN_S + 2
            faults.inject("ann", "resume", [])
            wait_until(lambda: _title() == "主机", "the master's page is back", 15)
            time.sleep(2)
            assert _title() == "主机"
        finally:
            run(exposed.close(_PORT))
