"""Measures a rollout to two nodes beside ansible-core with the same steps over the same SSH, and to six nodes.

    make bench-provisioning        (python tests/benchmarks/provisioning.py [--rounds 7])

nginx, keepalived and one service; the packages are installed; without a drain and health gates. Each round measures on
fresh connections a first configuration, a run without a change, and a change of one line, of both programs. Tandem's
rollout runs in this process, as in Pulumi's; Ansible's time includes the start of `ansible-playbook`. Of six nodes, two
are eligible and four run only the service; a change of a group that serves is made node by node, so its time has no
limit. All nodes share this host's CPUs. Requires root, ssh and the images of `localcloud up`. Exits with 1 if a limit
is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "tests/localcloud"), str(_ROOT)]

from network.lab import PLACES, Lab, wait_until

from localcloud.network import names
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Item, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.package import Package
from provisioning.kinds.unit import Unit
from provisioning.manifest import Manifest
from provisioning.rollout.rollout import roll_out

_NODES = ("ann", "bob", "cat", "fay", "gus", "hal")
_ANSIBLE = Path.home() / ".cache/tandem/ansible"
_LIMITS_S = {"first configuration": 1.5, "no change": 0.5}
_RATIO = 5.0  # of Ansible's time to Tandem's
_SIX_TO_TWO = 1.5
_VALIDATED = "until validated"  # the part of a first configuration before the first change of a service
_CHANGE = "one line changed"
_TWO, _SIX, _PEER = "tandem", "tandem, six nodes", "ansible"

_NGINX = """user www-data;
worker_processes auto;
pid /run/nginx.pid;
events { worker_connections 4096; }
http { include /etc/nginx/mime.types; include /etc/nginx/conf.d/*.conf; }
"""
_UPSTREAMS = """upstream service {
    server 10.0.4.20:8080 max_fails=1 fail_timeout=10s;
    server 10.0.4.21:8080 max_fails=1 fail_timeout=10s;
}
"""
_SITE = """# version VERSION
server { listen 80 default_server; location / { proxy_pass http://service; } location = /healthz { return 200; } }
"""
_SERVICE = """[Service]
ExecStart=/usr/bin/python3 -m http.server --bind ADDRESS --directory /etc/bench 8080
[Install]
WantedBy=multi-user.target
"""
_KEEPALIVED = """vrrp_instance one {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 100
    unicast_src_ip ADDRESS
    unicast_peer { PEER }
    virtual_ipaddress { 10.0.4.99/32 }
}
"""
_DEFAULT_SITE = "/etc/nginx/sites-enabled/default"
_RESET = """
systemctl disable -q --now bench nginx keepalived 2>/dev/null
rm -rf /etc/bench /etc/systemd/system/bench.service /etc/nginx/conf.d/*.conf /var/lib/tandem /run/tandem
rm -f /etc/keepalived/keepalived.conf
echo 'events {} http {}' > /etc/nginx/nginx.conf
ln -sf /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default
systemctl daemon-reload
systemctl reset-failed
"""


def files(address: str, peer: str, version: int) -> dict[str, tuple[str, str]]:
    """The text of each file, and the unit that reads it."""
    texts = {
        "/etc/nginx/nginx.conf": (_NGINX, "nginx"),
        "/etc/nginx/conf.d/upstreams.conf": (_UPSTREAMS, "nginx"),
        "/etc/nginx/conf.d/site.conf": (_SITE, "nginx"),
        "/etc/keepalived/keepalived.conf": (_KEEPALIVED, "keepalived"),
        "/etc/bench/index.html": ("hello\n", ""),
        "/etc/systemd/system/bench.service": (_SERVICE, "bench"),
    }
    return {
        path: (text.replace("ADDRESS", address).replace("PEER", peer).replace("VERSION", str(version)), unit)
        for path, (text, unit) in texts.items()
    }


def manifest(node: RemoteNode, peer: RemoteNode, version: int) -> Manifest:
    """nginx, keepalived and the service on an eligible node; only the service on an application node."""
    after = {"": (), "nginx": (reload("nginx"),), "keepalived": (reload("keepalived"),), "bench": (restart("bench"),)}
    units = ("nginx", "keepalived") if node.eligible else ()
    items: list[Item] = [*(Package(unit) for unit in units), Directory("/etc/bench")]
    if node.eligible:
        items += [
            Check("nginx", ("nginx", "-t"), ("/etc/nginx",)),
            Check("keepalived", ("keepalived", "-t"), ("/etc/keepalived",)),
            Absent(_DEFAULT_SITE, after=(reload("nginx"),)),
        ]
    for path, (text, unit) in files(node.private_address, peer.private_address, version).items():
        if unit in {"", "bench", *units}:
            items.append(File(path, text, after=after[unit]))
    return Manifest(node.name, (*items, Unit("bench"), *(Unit(unit) for unit in units)))


class Tandem:
    """Runs a rollout to the first nodes of the inventory in this process."""

    def __init__(self, inventory: Inventory, count: int) -> None:
        self.nodes = inventory.nodes[:count]
        self._inventory = replace(inventory, nodes=self.nodes)
        self.validated_s = 0.0  # of the last run: facts, lock, staging and validation

    def __call__(self, version: int) -> None:
        first, second = self.nodes[:2]
        manifests = {node.name: manifest(node, second if node is first else first, version) for node in self.nodes}
        began = time.monotonic()

        def report(line: str) -> None:
            if line == "all nodes accepted the candidates":
                self.validated_s = time.monotonic() - began

        roll_out(self._inventory, manifests, {}, report)


class Ansible:
    """Runs `ansible-playbook` with pipelining, and with connections that it shares within one run."""

    def __init__(self, inventory: Inventory, folder: Path, key: Path) -> None:
        self.nodes = inventory.nodes[:2]
        self._folder, self._key = folder, key

    def __call__(self, version: int) -> None:
        hosts, playbook = self._folder / "hosts.yaml", self._folder / "playbook.yaml"
        hosts.write_text(yaml.safe_dump({"all": {"hosts": self._hosts(version)}}))
        playbook.write_text(yaml.safe_dump([self._play()]))
        with tempfile.TemporaryDirectory() as sockets:
            environment = {
                **os.environ,
                "ANSIBLE_PIPELINING": "true",
                "ANSIBLE_HOST_KEY_CHECKING": "true",
                "ANSIBLE_SSH_ARGS": f"-o ControlMaster=auto -o ControlPersist=60s -o ControlPath={sockets}/%C "
                f"-o UserKnownHostsFile={self._folder}/known_hosts",
                "ANSIBLE_LOCALHOST_WARNING": "false",
            }
            command = [str(_ANSIBLE / "bin/ansible-playbook"), "-i", str(hosts), str(playbook)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode:
                raise RuntimeError(done.stdout + done.stderr)
            for node in self.nodes:
                target = f"{node.user}@{node.ssh_address}"
                close = ["ssh", "-o", f"ControlPath={sockets}/%C", "-O", "exit", target]
                subprocess.run(close, capture_output=True, check=False, timeout=20)

    def _hosts(self, version: int) -> dict[str, object]:
        first, second = self.nodes
        return {
            node.name: {
                "ansible_host": node.ssh_address,
                "ansible_user": node.user,
                "ansible_ssh_private_key_file": str(self._key),
                "ansible_python_interpreter": "/usr/bin/python3",
                "files": [
                    {"path": path, "text": text, "unit": unit}
                    for path, (text, unit) in files(node.private_address, peer.private_address, version).items()
                ],
            }
            for node, peer in ((first, second), (second, first))
        }

    def _play(self) -> dict[str, object]:
        tasks: list[dict[str, Any]] = [
            {"ansible.builtin.apt": {"name": ["nginx", "keepalived"], "state": "present"}},
            {"ansible.builtin.file": {"path": "/etc/bench", "state": "directory", "mode": "0755"}},
            {
                "ansible.builtin.file": {"path": _DEFAULT_SITE, "state": "absent"},
                "notify": "nginx",
            },
        ]
        for number in range(6):
            file = f"files[{number}]"
            copy = {"dest": f"{{{{ {file}.path }}}}", "content": f"{{{{ {file}.text }}}}", "mode": "0644"}
            tasks.append({"ansible.builtin.copy": copy, "notify": f"{{{{ {file}.unit or 'none' }}}}"})
        tasks += [
            {"ansible.builtin.command": command, "changed_when": False} for command in ("nginx -t", "keepalived -t")
        ]
        tasks += [
            {"ansible.builtin.systemd": {"name": unit, "enabled": True, "state": "started", "daemon_reload": True}}
            for unit in ("bench", "nginx", "keepalived")
        ]
        handlers: list[dict[str, Any]] = [
            {"name": unit, "ansible.builtin.systemd": {"name": unit, "state": state}}
            for unit, state in (("nginx", "reloaded"), ("keepalived", "reloaded"), ("bench", "restarted"))
        ]
        handlers.append({"name": "none", "ansible.builtin.meta": "noop"})
        return {"hosts": "all", "become": True, "gather_facts": False, "tasks": tasks, "handlers": handlers}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    _install_ansible()
    lab = Lab(image="img-services", machines=_NODES)
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        try:
            inventory = _start(lab, key, Path(folder))
            programs = {
                _TWO: Tandem(inventory, 2),
                _SIX: Tandem(inventory, 6),
                _PEER: Ansible(inventory, Path(folder), key),
            }
            with lab.infrastructure.namespaces.inside(names.OPERATOR):
                times = _measure(lab, programs, options.rounds)
        finally:
            lab.close()
    return _report(times)


def _install_ansible() -> None:
    if not (_ANSIBLE / "bin/ansible-playbook").exists():
        subprocess.run([sys.executable, "-m", "venv", str(_ANSIBLE)], check=True)
        pip = [str(_ANSIBLE / "bin/python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, "-r", str(_ROOT / "requirements/ansible.txt")], check=True)


def _start(lab: Lab, key: Path, folder: Path) -> Inventory:
    lab.infrastructure.listen(lab)
    lab.infrastructure.open()
    lab.configure()
    public = key.with_suffix(".pub").read_text().strip()
    for name in _NODES:
        lab.infrastructure.start_machine(replace(lab.spec(name), public_keys=(public,)))
    for name in _NODES:
        lab.wait_for_boot(name)
    nodes: list[RemoteNode] = []
    for name in _NODES:
        address = PLACES[name].address
        wait_until(lambda address=address: _scan(lab, address) != "", f"sshd of {name}", 60)
        line = _scan(lab, address)
        with (folder / "known_hosts").open("a") as known:
            known.write(f"{address} {line}\n")
        nodes.append(RemoteNode(name, name, address, address, "debian", (line,), eligible=len(nodes) < 2))
    return Inventory("bench", tuple(nodes), ("10.0.4.99",), key.read_text())


def _scan(lab: Lab, address: str) -> str:
    lines = lab.operator("ssh-keyscan", "-t", "ed25519", address).stdout.splitlines()
    keys = [line.split(" ", 1)[1] for line in lines if line.startswith(address)]
    return keys[0] if keys else ""


def _measure(lab: Lab, programs: dict[str, Tandem | Ansible], rounds: int) -> dict[str, dict[str, list[float]]]:
    """The seconds of each step, by step and program."""
    times: dict[str, dict[str, list[float]]] = {}

    def add(name: str, step: str, seconds: float) -> None:
        times.setdefault(step, {}).setdefault(name, []).append(seconds)
        print(json.dumps({"program": name, "step": step, "s": round(seconds, 3)}), file=sys.stderr)

    for _ in range(rounds):
        for name, run in programs.items():
            for node in _NODES:
                lab.must(node, "sh", "-c", _RESET)
            for step, version in (("first configuration", 0), ("no change", 0), (_CHANGE, 1)):
                began = time.monotonic()
                run(version)
                add(name, step, time.monotonic() - began)
                if isinstance(run, Tandem) and step == "first configuration":
                    add(name, _VALIDATED, run.validated_s)
            for node in run.nodes:
                _check(lab, node)
    return times


def _check(lab: Lab, node: RemoteNode) -> None:
    units = ("bench", "nginx", "keepalived") if node.eligible else ("bench",)
    assert lab.must(node.name, "systemctl", "is-active", *units).split() == ["active"] * len(units)
    assert not node.eligible or "version 1" in lab.must(node.name, "cat", "/etc/nginx/conf.d/site.conf")


def _report(times: dict[str, dict[str, list[float]]]) -> int:
    """Print the medians with the worst in brackets. Returns the exit code."""
    missed: list[str] = []
    print(f"{'step':<22}{_TWO:>16}{_PEER:>16}{'ratio':>8}{_SIX:>20}{'ratio':>8}")
    for step, found in times.items():
        median = {name: statistics.median(values) for name, values in found.items()}
        shown = {name: f"{median[name]:.2f} s ({max(values):.2f})" for name, values in found.items()}
        faster, longer = median.get(_PEER, 0.0) / median[_TWO], median[_SIX] / median[_TWO]
        print(f"{step:<22}{shown[_TWO]:>16}{shown.get(_PEER, ''):>16}{faster:>7.1f}x{shown[_SIX]:>20}{longer:>7.2f}x")
        if step in _LIMITS_S and median[_TWO] > _LIMITS_S[step]:
            missed.append(f"{step} must take at most {_LIMITS_S[step]:g} s")
        if step in _LIMITS_S and faster < _RATIO:
            missed.append(f"{step} must be {_RATIO:g} times faster than ansible-core")
        if step != _CHANGE and longer > _SIX_TO_TWO:
            missed.append(f"{step} of six nodes must take at most {_SIX_TO_TWO:g} times that of two")
    print("\n".join(missed) or "all limits are met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
