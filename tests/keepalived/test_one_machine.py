"""samples/one-machine, lecture 004's pair with Docker Compose: its syntax, and that its parts name each other."""

from __future__ import annotations

import ipaddress
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.keepalived.pair import in_namespace
from tests.keepalived.test_accepted import check

FOLDER = Path(__file__).parents[2] / "samples" / "one-machine"


def test_every_file_that_compose_mounts_exists_and_the_addresses_agree() -> None:
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    mounts = [mount.split(":")[0] for service in compose["services"].values() for mount in service["volumes"]]
    assert [mount for mount in mounts if not (FOLDER / mount).is_file()] == []
    subnet = ipaddress.ip_network(compose["networks"]["static-network"]["ipam"]["config"][0]["subnet"])
    for name in ("master", "slave"):
        address = compose["services"][f"nginx_{name}"]["networks"]["static-network"]["ipv4_address"]
        assert ipaddress.ip_address(address) in subnet
        assert f"unicast_src_ip {address}\n" in (FOLDER / f"keepalived-{name}.conf").read_text()
    assert "172.20.128.4:80" in (FOLDER / "haproxy.cfg").read_text()


@pytest.mark.parametrize("script", ["entrypoint.sh", "check_nginx.sh"])
def test_the_scripts_have_valid_syntax(script: str) -> None:
    subprocess.run(["sh", "-n", FOLDER / script], check=True)


@pytest.mark.root
def test_keepalived_accepts_both_configurations(tmp_path: Path) -> None:
    with in_namespace("onemachine") as namespace:
        for name in ("master", "slave"):
            text = (FOLDER / f"keepalived-{name}.conf").read_text()
            done = check(text, tmp_path / name, FOLDER, namespace)
            assert done.returncode == 0, done.stderr
