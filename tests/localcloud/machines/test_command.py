"""The `localcloud` command: what it creates, what it removes, and its error messages."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Generator
from pathlib import Path

import pytest

from .command import NOTHING, LocalCloud, host_network

pytestmark = pytest.mark.root


@pytest.fixture
def cloud() -> Generator[LocalCloud]:
    created = LocalCloud(f"c{os.getpid()}")
    yield created
    created.down()
    assert created.left() == NOTHING


def test_up_pair_down_leaves_nothing_on_the_host(cloud: LocalCloud) -> None:
    before = host_network()
    assert "is up after" in cloud.up()
    pair = cloud.pair()
    status = cloud.status()
    assert [machine["running"] for machine in status["machines"]] == [True, True]
    assert host_network() == before, "the host's network contains parts of the cloud"
    cloud.on("node-1", "ip", "address", "add", "10.0.4.99/32", "dev", "eth0")
    cloud.on("node-1", "arping", "-c1", "-A", "-I", "eth0", "-s", "10.0.4.99", "10.0.4.99")
    (virtual,) = cloud.status()["virtual_addresses"]
    assert virtual["holder"] == pair["instances"][1]
    (havip,) = cloud.call("vpc", "2017-03-12", "DescribeHaVips")["HaVipSet"]
    assert (havip["InstanceId"], havip["State"]) == (pair["instances"][1], "AVAILABLE")
    # A machine's disks are mounted only in its runner's namespace; the host's own has only network namespaces.
    own = Path("/proc/self/mountinfo").read_text().splitlines()
    assert all("/run/netns/" in line for line in own if f"lc-{cloud.name}-" in line or f"/{cloud.name}/" in line)
    cloud.down()
    assert cloud.left() == NOTHING
    assert host_network() == before


def test_a_network_that_cannot_be_applied_is_reported_within_seconds(cloud: LocalCloud) -> None:
    cloud.up()
    vpc = cloud.call("vpc", "2017-03-12", "CreateVpc", VpcName="one", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    namespace = f"lc-{cloud.name}-{vpc}"
    subprocess.run(["ip", "netns", "delete", namespace], check=True)
    obstacle = Path("/run/netns", namespace)
    obstacle.mkdir()
    try:
        subnet = {"VpcId": vpc, "SubnetName": "one", "CidrBlock": "10.0.4.0/24", "Zone": "ap-guangzhou-6"}
        cloud.call("vpc", "2017-03-12", "CreateSubnet", **subnet)
        began = time.monotonic()
        refused = cloud.run("up")
        assert time.monotonic() - began < 30  # of a busy host; an idle one takes 6 s
        assert refused.returncode == 1
        reason = f"the router of {vpc} could not be set up: IsADirectoryError"
        for text in (refused.stderr, cloud.must("status"), cloud.run("exec", "--", "true").stderr):
            assert reason in text
            assert f"/var/lib/localcloud/{cloud.name}/daemon.log" in text
    finally:
        obstacle.rmdir()
    assert f"cloud {cloud.name} is already up" in cloud.up()
    deadline = time.monotonic() + 30
    while reported := cloud.run("exec", "--", "true").stderr:  # until the daemon has tried again
        assert time.monotonic() < deadline, reported


def test_a_second_up_is_reported_and_a_second_down_succeeds(cloud: LocalCloud) -> None:
    cloud.up()
    assert f"cloud {cloud.name} is already up" in cloud.up()
    cloud.down()
    cloud.down()


def test_two_concurrent_ups_start_one_cloud(cloud: LocalCloud) -> None:
    results: list[subprocess.CompletedProcess[str]] = []
    threads = [threading.Thread(target=lambda: results.append(cloud.run("up"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done.returncode for done in results) in ([0, 0], [0, 1])
    daemons = [line for line in cloud.processes().values() if "localcloud.daemon" in line]
    assert len(daemons) == 1


def test_instances_survive_a_killed_daemon_and_the_next_up_adopts_them(cloud: LocalCloud) -> None:
    cloud.up()
    cloud.pair()
    pids = {machine["name"]: machine["pid"] for machine in cloud.status()["machines"]}
    identity = cloud.must("exec", "--", "sh", "-c", "echo $LOCALCLOUD_ID")
    for pid, line in cloud.processes().items():
        if "localcloud.daemon" in line:
            os.kill(pid, signal.SIGKILL)
    assert cloud.run("status").returncode == 1
    assert all(Path(f"/proc/{pid}").exists() for pid in pids.values())
    assert "2 instances running" in cloud.up()
    assert {machine["name"]: machine["pid"] for machine in cloud.status()["machines"]} == pids
    assert cloud.on("node-0", "curl", "-sf", "http://169.254.0.23/latest/meta-data/local-ipv4") == "10.0.4.20"
    assert cloud.must("exec", "--", "sh", "-c", "echo $LOCALCLOUD_ID") == identity


def test_after_all_processes_were_killed_up_boots_the_same_instances_with_their_files(cloud: LocalCloud) -> None:
    cloud.up()
    cloud.pair()
    cloud.on("node-0", "sh", "-c", "echo kept >/root/kept; sync")
    cloud.kill_everything()
    cloud.up()
    deadline = time.monotonic() + 30
    while not all(machine["running"] for machine in cloud.status()["machines"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert cloud.on("node-0", "cat", "/root/kept") == "kept\n"
    assert cloud.on("node-0", "ping", "-c1", "-W2", "10.0.4.21")


def test_after_all_processes_were_killed_down_leaves_nothing(cloud: LocalCloud) -> None:
    cloud.up()
    cloud.pair()
    cloud.kill_everything()
    cloud.down()
    assert cloud.left() == NOTHING


@pytest.mark.parametrize("delay_s", [0.6, 1.2])
def test_an_up_that_was_killed_is_completed_by_the_next(cloud: LocalCloud, delay_s: float) -> None:
    with subprocess.Popen(cloud.words("up", "--name", cloud.name), stdout=subprocess.DEVNULL) as killed:
        time.sleep(delay_s)
        killed.kill()
    cloud.kill_everything()
    cloud.up()
    assert cloud.status()["machines"] == []
    assert cloud.must("exec", "--", "true") == ""


def test_down_ends_a_running_exec_command(cloud: LocalCloud) -> None:
    cloud.up()
    with subprocess.Popen(cloud.words("exec", "--name", cloud.name, "--", "sleep", "600")) as sleeper:
        deadline = time.monotonic() + 10
        while not any("sleep 600" in line for line in cloud.processes().values()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        cloud.down()
        assert sleeper.wait(timeout=5) != 0


def test_down_keep_preserves_records_and_disks_for_the_next_up(cloud: LocalCloud) -> None:
    cloud.up()
    cloud.pair(count=1)
    cloud.on("node-0", "sh", "-c", "echo kept >/root/kept; sync")
    cloud.down("--keep")
    left = cloud.left()
    assert left.pop("state")
    assert not any(left.values()), left
    cloud.up()
    deadline = time.monotonic() + 30
    while not cloud.status()["machines"][0]["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert cloud.on("node-0", "cat", "/root/kept") == "kept\n"


def test_two_clouds_on_one_host_are_isolated(cloud: LocalCloud) -> None:
    other = LocalCloud(f"d{os.getpid()}")
    try:
        cloud.up()
        other.up()
        mine, theirs = cloud.pair(count=1), other.pair(count=1)
        assert mine["public"] == theirs["public"], "the two clouds must have the same addresses for this test"
        cloud.on("node-0", "sh", "-c", "echo mine >/root/owner")
        other.on("node-0", "sh", "-c", "echo theirs >/root/owner")
        assert cloud.on("node-0", "cat", "/root/owner") == "mine\n"
        other.down()
        assert other.left() == NOTHING
        assert cloud.on("node-0", "cat", "/root/owner") == "mine\n"
    finally:
        other.down()


def test_exec_preserves_arguments_directory_input_and_exit_code(cloud: LocalCloud, tmp_path: Path) -> None:
    cloud.up()
    words = (
        "exec",
        "--",
        "python3",
        "-c",
        "import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(7)",
        "a b",
        "--",
        "-x",
    )
    done = cloud.run(*words, text="hello")
    assert (done.returncode, done.stdout) == (7, "['a b', '--', '-x'] hello\n")
    done = subprocess.run(
        cloud.words("exec", "--name", cloud.name, "--", "pwd"), capture_output=True, text=True, cwd=tmp_path,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )  # fmt: skip
    assert done.stdout == f"{tmp_path}\n"
    done = cloud.run("exec", "--", "no-such-command")
    assert (done.returncode, done.stderr) == (127, "localcloud: no-such-command: No such file or directory\n")


def test_the_operator_reaches_the_api_under_its_real_names_with_valid_tls(cloud: LocalCloud) -> None:
    cloud.up()
    done = cloud.run(
        "exec",
        "--",
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{ssl_verify_result}",
        "https://vpc.tencentcloudapi.com/",
    )
    assert done.stdout == "200 0"
    done = cloud.run("exec", "--", "curl", "-s", "--max-time", "3", "https://www.example.com/")
    assert done.returncode == 6
    done = cloud.run("client", "--", "curl", "-s", "--max-time", "2", "http://10.0.4.20/")
    assert done.returncode in {7, 28}


def test_ssh_preserves_arguments_and_exit_code(cloud: LocalCloud) -> None:
    cloud.up()
    cloud.pair(count=1)
    done = cloud.run(
        "ssh", "node-0", "--", "python3", "-c", "import sys; print(sys.argv[1:]); sys.exit(3)", "a b", "$HOME", "*"
    )
    assert (done.returncode, done.stdout) == (3, "['a b', '$HOME', '*']\n")
    done = cloud.run("ssh", "nosuch", "--", "true")
    assert done.returncode == 1
    assert "no instance is named 'nosuch'; known: node-0" in done.stderr
    assert "Reached target" in cloud.must("console", "node-0")


def test_a_public_address_is_exposed_on_a_port_of_the_host(cloud: LocalCloud) -> None:
    cloud.up()
    pair = cloud.pair(count=1)
    cloud.on(
        "node-0",
        "sh",
        "-c",
        "mkdir /srv/www; echo hello >/srv/www/index.html; systemd-run --quiet python3 -m http.server -d /srv/www 80",
    )
    cloud.on("node-0", "ip", "address", "add", "10.0.4.99/32", "dev", "eth0")
    cloud.on("node-0", "arping", "-c1", "-A", "-I", "eth0", "-s", "10.0.4.99", "10.0.4.99")
    said = cloud.must("expose", "--port", "18123")
    assert said == f"http://127.0.0.1:18123 forwards to {pair['public']}:80 until `localcloud down`\n"
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen("http://127.0.0.1:18123/", timeout=2) as answer:
                assert answer.read() == b"hello\n"
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert "is closed" in cloud.must("expose", "--port", "18123", "--stop")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen("http://127.0.0.1:18123/", timeout=2)


def test_up_without_root_is_refused_and_creates_nothing() -> None:
    cloud = LocalCloud(f"c{os.getpid()}")
    # The user keeps only root's capability to read every file, because this checkout may be in a private home.
    may_read = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", *may_read, *cloud.words("up", "--name", cloud.name)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3]), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1
    assert "this requires root (current uid 65534): run `sudo localcloud up" in done.stderr
    assert cloud.left() == NOTHING


_WITHOUT = (
    "mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work && "
    "mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc && rm "
)


@pytest.mark.parametrize(
    ("damage", "messages"),
    [
        ('mount --bind /dev/null "$(command -v nft)"', ["nft (package nftables)", "apt-get install nftables"]),
        (f"{_WITHOUT} /etc/protocols", ["/etc/protocols (package netbase)", "apt-get install netbase"]),
        (f"{_WITHOUT} /etc/hosts", ["/etc/hosts, which is the mount point", "echo 127.0.0.1 localhost >/etc/hosts"]),
    ],
    ids=["a tool", "protocol names", "the hosts file"],
)
def test_a_missing_requirement_is_reported_with_the_command_that_installs_it(damage: str, messages: list[str]) -> None:
    cloud = LocalCloud(f"c{os.getpid()}")
    for command in ("up", "doctor"):
        words = ["unshare", "--mount", "sh", "-c", f'{damage} && exec "$@"', "sh", *cloud.words(command)]
        done = subprocess.run(
            words, capture_output=True, text=True, check=False,
            env={**os.environ, "LOCALCLOUD_NAME": cloud.name, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        )  # fmt: skip
        assert done.returncode == 1
        assert [text for text in messages if text not in done.stdout + done.stderr] == []
    assert cloud.left() == NOTHING


@pytest.mark.parametrize("name", ["a-b", "A", "", "x" * 21, "../x"])
def test_an_invalid_cloud_name_is_refused(name: str) -> None:
    done = LocalCloud(name).run("up", "--name", name)
    assert done.returncode == 1
    assert "the cloud's name must be 1 to 20 characters of a-z and 0-9" in done.stderr
