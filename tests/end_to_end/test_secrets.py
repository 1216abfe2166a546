"""Every secret of a run is searched for where it must not be: state, output, logs, process lists, readable files."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from operations.workspace import find_workspace
from tests.end_to_end.group import NODES, Group
from tests.end_to_end.lab import ROOT, Lab

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
_SHORTEST = 8


def find_secrets(lab: Lab) -> list[str]:
    """The values of all secrets in the state, and each line of the private keys."""
    script = (
        "import os, sys; from operations.engine import open_engine; from operations.recorded import *\n"
        "values = list_secrets(read_rollout(open_engine('local').deployment(), 'local')); print('\\n'.join(values))"
    )
    shown = lab.operator(str(ROOT / ".venv" / "bin" / "python"), "-c", script).stdout
    secrets = {line.strip() for line in shown.splitlines()}
    return [line for line in secrets if len(line) >= _SHORTEST and not line.startswith("-----")]


def found_in(text: str, secrets: Iterable[str]) -> list[str]:
    """The beginnings of the secrets in a text. The message of a failure must not publish them."""
    return [f"{secret[:3]}..." for secret in secrets if secret in text]


@contextmanager
def watched_processes() -> Generator[set[str]]:
    """Collect the command lines of all processes of this host, which include those of the nodes."""
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    try:
                        seen.add(Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                    except OSError:
                        continue

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join(10)


def changed_settings(tmp_path: Path) -> Path:
    """The stack's settings with new passwords and another line of nginx's configuration."""
    settings = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text())
    generation = {"mariadbPassword": 2, "redisPassword": 2, "adminPassword": 2, "jwtKey": 2}
    settings["config"]["tandem:credentials"] = {"generation": generation}
    settings["config"].setdefault("tandem:nginx", {})["keepaliveTimeoutS"] = 31
    file = tmp_path / "Pulumi.local.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def test_no_secret_of_a_run_is_where_it_must_not_be(group: Group, tmp_path: Path) -> None:
    lab, file = group.lab, changed_settings(tmp_path)
    before = find_secrets(lab)
    with watched_processes() as processes:
        preview = lab.tandem("preview", "--config-file", str(file))
        comment = lab.tandem("preview", "--markdown", "--config-file", str(file))
        with group.changed_to(file):
            after = find_secrets(lab)
            shown = {
                "status": lab.operator("tandem", "status", "--json", check=False).stdout,
                "plan": lab.operator("tandem", "plan", "--json", check=False).stdout,
                "health": lab.operator("tandem", "health", "--json", check=False).stdout,
                "logs": lab.operator("tandem", "logs", "--lines", "5000").stdout,
                "report": _report(lab, tmp_path),
                "outputs": lab.run("tandem", "outputs", "--json").stdout,
                **{f"journal of {node}": lab.on(node, "journalctl --no-pager -b") for node in NODES},
                **{f"readable files of {node}": _readable(lab, node, after) for node in NODES},
            }
        shown["up"] = lab.up()
    secrets = sorted({*before, *after})
    assert len(secrets) > 30
    workspace = find_workspace("local", {"LOCALCLOUD_NAME": lab.name})
    assert workspace is not None
    # With the copies of the project and the settings, and the history; only the passphrase is a secret of its own.
    files = [each for each in workspace.directory.rglob("*") if each.is_file() and each.name != "passphrase"]
    assert any(workspace.backend in each.parents for each in files)
    state = {str(each): each.read_text(errors="replace") for each in files}
    texts = {**shown, **state, "preview": preview, "comment": comment, "processes": "\n".join(processes)}
    assert {name: found for name, text in texts.items() if (found := found_in(text, secrets))} == {}
    assert "keepalive_timeout 31s" in preview
    assert "keepalive_timeout 31s" in comment
    assert _readable_on_host(workspace.directory) == []


def _report(lab: Lab, tmp_path: Path) -> str:
    file = tmp_path / "report.html"
    lab.operator("tandem", "report", "--output", str(file))
    return file.read_text()


def _readable(lab: Lab, node: str, secrets: Iterable[str]) -> str:
    """The matches in files of a node that every user can read. The secrets are sent on stdin."""
    patterns = "\n".join(secrets)
    places = "/etc /opt /run /srv /tmp /usr/local /var/lib/tandem /var/log"
    script = f"cat >/root/patterns && find {places} -xdev -type f -perm -004 -print0 | xargs -0 -r grep -aoFf /root/patterns; rm /root/patterns"  # noqa: E501 - one pipeline
    return lab.run_with_input(patterns, "localcloud", "ssh", node, "--", "sh", "-c", script)


def _readable_on_host(directory: Path) -> list[str]:
    """Files of the state that other users of this host can read."""
    secret = [directory / "passphrase"]
    return [str(file) for file in secret if file.stat().st_mode & 0o077]
