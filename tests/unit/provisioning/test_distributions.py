"""The distributions of the nodes: what their rows change in the manifests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from provisioning_deployments import deployment
from provisioning_fakes import FakeGroup, FakeSystem

from provisioning.agent import status
from provisioning.agent.node import Node, Result
from provisioning.deployment import Deployment
from provisioning.errors import NodeError, ProvisioningError
from provisioning.first_boot import user_data
from provisioning.kinds.file import File
from provisioning.kinds.operating_system import OperatingSystem, find_distribution
from provisioning.kinds.package import Package
from provisioning.kinds.rpm import Rpm
from provisioning.kinds.selinux import Selinux
from provisioning.manifest import Manifest
from provisioning.manifest_rendering import render
from provisioning.rollout.rollout import roll_out
from settings.distributions import DISTRIBUTIONS
from settings.nginx import NginxSettings
from settings.releases import Release

RPM = [name for name, row in DISTRIBUTIONS.items() if row.family.packages == "rpm"]
OPERATIONS = Path(__file__).parents[3] / "docs/operations.md"


def of(name: str) -> Deployment:
    row = DISTRIBUTIONS[name]
    nginx = NginxSettings(version=row.nginx, user=row.family.web_user)
    release = Release("iam.tar.gz", "0" * 64, stand_in=row.family.packages == "apt")
    return replace(deployment(nginx={}), distribution=row, nginx=nginx, release=release)


def first_node(name: str) -> Manifest:
    return render(of(name))["iam-a"]


def words(manifest: Manifest) -> str:
    """Everything that a manifest says, as text."""
    return "\n".join(map(str, manifest.items))


@pytest.mark.parametrize("name", RPM)
def test_the_rhel_family_has_its_own_packages_units_paths_and_accounts(name: str) -> None:
    manifest = first_node(name)
    assert {item for item in manifest.items if isinstance(item, Rpm)} >= {
        Rpm("nginx", "nginx:1.18"), Rpm("keepalived"), Rpm("redis", "redis:6"), Rpm("mariadb-server", "mariadb:10.5"),
        Rpm("openssh-clients"), Rpm("nftables"), Rpm("chrony"), Rpm("policycoreutils-python-utils"),
    }  # fmt: skip
    assert not [item for item in manifest.items if isinstance(item, Package)]
    units = {unit for item in manifest.items for unit in item.units()}
    assert {"nginx", "keepalived", "mariadb", "redis", "chronyd"} <= units
    assert "redis-server" not in units
    files = manifest.files()
    assert files["/etc/sysconfig/keepalived"] == 'KEEPALIVED_OPTIONS="-D"\n'
    drop_in = files["/etc/systemd/system/keepalived.service.d/tandem.conf"]
    assert "Type=simple\nPIDFile=\nExecStart=\n" in drop_in
    assert "--dont-fork --dont-respawn $KEEPALIVED_OPTIONS" in drop_in
    assert "ExecStart=\nExecStart=/usr/bin/redis-server /etc/redis/redis.conf" in files[
        "/etc/systemd/system/redis.service.d/tandem.conf"
    ]  # fmt: skip
    assert "user nginx;" in files["/etc/nginx/nginx.conf"]
    assert "include /usr/share/nginx/modules/*.conf;" in files["/etc/nginx/nginx.conf"]
    assert "create 0640 nginx root" in files["/etc/logrotate.d/nginx"]
    assert {"/etc/my.cnf.d/tandem-60-tandem.cnf", "/etc/chrony.conf"} <= files.keys()


@pytest.mark.parametrize("name", RPM)
def test_nothing_of_debian_is_left_on_the_rhel_family(name: str) -> None:
    text = words(first_node(name))
    for word in ("/etc/apt", "/etc/mysql", "www-data", "modules-enabled", "redis-server.service", "DAEMON_ARGS"):
        assert word not in text, word
    assert "redis.service" in first_node(name).files()["/etc/systemd/system/tandem-backup.service"]


@pytest.mark.parametrize("name", RPM)
def test_root_of_the_database_has_no_login_without_a_password(name: str) -> None:
    assert "ALTER USER 'root'@'localhost' IDENTIFIED VIA unix_socket" in words(first_node(name))
    assert "ALTER USER 'root'" not in words(first_node("debian-12"))


@pytest.mark.parametrize("name", RPM)
def test_selinux_does_not_confine_what_uses_other_paths(name: str) -> None:
    (item,) = [item for item in first_node(name).items if isinstance(item, Selinux)]
    assert set(item.permissive) == {"httpd_t", "keepalived_t", "mysqld_t", "redis_t"}
    assert not [item for item in first_node("debian-12").items if isinstance(item, Selinux)]


@pytest.mark.parametrize(
    ("name", "listen"),
    [("debian-12", "listen 443 ssl http2"), ("debian-13", "http2 on;"), ("ubuntu-22.04", "listen 443 ssl http2")],
)
def test_the_version_of_nginx_follows_the_distribution(name: str, listen: str) -> None:
    sites = [text for path, text in first_node(name).files().items() if path.startswith("/etc/nginx/conf.d/")]
    assert any(listen in text for text in sites)


def test_distributions_of_one_family_differ_in_nginx_only() -> None:
    def others(name: str) -> list[object]:
        return [
            item
            for item in first_node(name).items
            if not isinstance(item, OperatingSystem) and not (isinstance(item, File) and "/nginx/" in item.path)
        ]

    assert others("debian-12") == others("debian-13") == others("ubuntu-24.04")


@pytest.mark.parametrize(
    ("os_id", "version", "name"),
    [
        ("debian", "12", "debian-12"), ("debian", "13", "debian-13"), ("ubuntu", "22.04", "ubuntu-22.04"),
        ("ubuntu", "24.04", "ubuntu-24.04"), ("tencentos", "3.1", "tencentos-3"), ("tencentos", "3.2", "tencentos-3"),
        ("centos", "8", "centos-8"), ("centos", "7", None), ("tencentos", "4.0", None), ("ubuntu", "22", None),
        ("debian", "", None), ("arch", "12", None),
    ],
)  # fmt: skip
def test_a_distribution_is_recognised_by_its_release_file(os_id: str, version: str, name: str | None) -> None:
    assert find_distribution(os_id, version) == name


@pytest.mark.parametrize("pretty", ["Arch Linux", ""])
def test_an_unknown_distribution_is_refused_before_any_change(tmp_path: Path, pretty: str) -> None:
    group = FakeGroup(tmp_path, ("iam-a",))
    (group.systems["iam-a"].root / "etc/os-release").write_text(f'PRETTY_NAME="{pretty}"\nID=arch\n')
    manifests = {"iam-a": Manifest("iam-a", (OperatingSystem("debian-12"), Package("nginx")))}
    with pytest.raises(ProvisioningError) as refused:
        roll_out(group.inventory, manifests, {}, connect=group.connect, sleep=group.sleep)
    assert "must be one of Debian 12, Debian 13, Ubuntu 22.04" in str(refused.value)
    assert f"(is {pretty or 'a system without /etc/os-release'})" in str(refused.value)
    assert "tandem:nodes.distribution and tandem:nodes.image" in str(refused.value)
    assert not group.systems["iam-a"].packages


def test_every_row_is_in_the_documentation_with_what_has_run() -> None:
    text = OPERATIONS.read_text()
    for row in DISTRIBUTIONS.values():
        assert f"| `{row.name}` | {row.title} | {row.nginx} | {row.keepalived} | {row.shown} |" in text


def test_a_node_of_the_rhel_family_gets_a_python_that_runs_the_agent_before_its_first_login() -> None:
    def commands(name: str) -> list[list[str]]:
        text = user_data(
            hostname="iam-a", host_key_private="k", host_key_public="k", user="debian", public_keys=("k",),
            python=DISTRIBUTIONS[name].python,
        )  # fmt: skip
        return yaml.safe_load(text)["bootcmd"]

    assert commands("centos-8")[1:] == [
        ["cloud-init-per", "instance", "tandem-python", "sh", "-c",
         "dnf -q -y install python39 && alternatives --set python3 /usr/bin/python3.9"]
    ]  # fmt: skip
    assert len(commands("debian-12")) == 1


# ---- dnf -------------------------------------------------------------------------------------------------------------

MANIFESTS = {"iam-a": Manifest("iam-a", (Rpm("nginx", "nginx:1.18"), Rpm("redis", "redis:6"), Rpm("keepalived")))}
HELD = "Error: Failed to obtain the transaction lock (logged in as: root).\n"


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return FakeGroup(tmp_path, ("iam-a",))


def deploy(group: FakeGroup, manifests: dict[str, Manifest] = MANIFESTS) -> None:
    roll_out(group.inventory, manifests, {}, group.reported.append, connect=group.connect, sleep=group.sleep)


class Dnf:
    """Fails as long as `fails` has output for the command."""

    def __init__(self, system: FakeSystem, fails: dict[str, list[str]]) -> None:
        self.commands: list[list[str]] = []
        self._fails, self._run = fails, system.run
        system.run = self.run  # pyright: ignore[reportAttributeAccessIssue] - a fake's method

    def run(self, argv: list[str], **other: object) -> Result:
        words = [word for word in argv[1:] if not word.startswith("-")]
        if argv[0] == "dnf":
            self.commands.append(words)
            if left := self._fails.get(words[0], []):
                return Result(1, "", left.pop(0))
        return self._run(argv, **other)  # pyright: ignore[reportArgumentType] - passed on


def test_module_streams_are_enabled_before_one_installation_of_all_packages(group: FakeGroup) -> None:
    dnf = Dnf(group.systems["iam-a"], {})
    deploy(group)
    assert dnf.commands == [
        ["module", "enable", "nginx:1.18", "redis:6"], ["install", "nginx", "redis", "keepalived"],
    ]  # fmt: skip
    deploy(group)
    assert len(dnf.commands) == 2, "a second run installs nothing"


@pytest.mark.parametrize("command", ["module", "install", "makecache"])
def test_another_dnf_is_waited_for(group: FakeGroup, command: str) -> None:
    fails = {command: [HELD] * 30}
    if command == "makecache":
        fails["install"] = ["Error: Unable to find a match: nginx"]
    Dnf(group.systems["iam-a"], fails)
    began = group.clock
    deploy(group)
    assert group.systems["iam-a"].rpms == {"nginx", "redis", "keepalived"}
    assert 80 <= group.clock - began <= 100
    assert f"iam-a: waiting for another dnf: {HELD.strip()}" in group.reported


def test_old_package_lists_are_refreshed_once(group: FakeGroup) -> None:
    dnf = Dnf(group.systems["iam-a"], {"install": ["Error: Unable to find a match: nginx"]})
    deploy(group)
    assert [words[0] for words in dnf.commands] == ["module", "install", "makecache", "install"]


@pytest.mark.parametrize(
    ("fails", "message", "seen"),
    [
        pytest.param(
            {"module": ["Error: Problems in request:\nmissing groups or modules: nginx:1.18"]},
            "dnf cannot enable nginx:1.18 redis:6", "missing groups or modules: nginx:1.18", id="a stream",
        ),
        pytest.param(
            {"install": ["Error: Unable to find a match: keepalived"] * 2},
            "dnf cannot install nginx redis keepalived", "Unable to find a match: keepalived", id="a package",
        ),
        pytest.param(
            {"install": [HELD] * 1000, "makecache": [HELD] * 1000},
            "dnf cannot install nginx redis keepalived", "Failed to obtain the transaction lock", id="a lock",
        ),
    ],
)  # fmt: skip
def test_what_dnf_cannot_do_is_an_error_with_its_words(
    group: FakeGroup, fails: dict[str, list[str]], message: str, seen: str
) -> None:
    Dnf(group.systems["iam-a"], fails)
    with pytest.raises(NodeError, match=message) as failed:
        deploy(group)
    assert seen in str(failed.value)


def test_the_status_has_the_versions_of_rpms(tmp_path: Path) -> None:
    def run(argv: list[str], **_: object) -> Result:
        if argv[0] == "rpm":
            return Result(2, "nginx\t1.18.0-3.el8\nkeepalived\t2.1.5-9.el8\npackage redis is not installed\n", "")
        return Result(127, "", f"{argv[0]}: not found on this node")

    found = status._packages(Node(root=str(tmp_path), runner=run))
    assert found == {"nginx": "1.18.0-3.el8", "keepalived": "2.1.5-9.el8"}
