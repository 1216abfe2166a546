"""Candidates that their program cannot read are refused before the commit: by the real programs, where they can check.

Each check of a manifest runs as on a node. It sees the candidates in its own mount namespace, so nothing below the
directories of this host changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from iam_real_servers import A, deployment_of

from provisioning.agent.node import Node, StepError
from provisioning.agent.stage import stage
from provisioning.errors import CandidateError
from provisioning.kinds.base import Item
from provisioning.kinds.check import Check
from provisioning.kinds.file import File
from provisioning.services import iam, mariadb, redis, unit_files
from provisioning.services.iam_files import refuse_invalid_yaml
from settings.iam import IamSettings
from settings.load import find_release

pytestmark = pytest.mark.root

MARIADB = "/etc/mysql/mariadb.conf.d/60-tandem.cnf"
LIMITS = "/etc/mysql/mariadb.conf.d/61-tandem-limits.cnf"
REDIS = "/etc/redis/redis.conf"
REFRESH = "/etc/systemd/system/iam-refresh.service"
REDIS_UNIT = "/etc/systemd/system/redis-server.service.d/tandem.conf"


@dataclass(frozen=True)
class Change:
    """A wrong candidate, and what the operator reads about it."""

    path: str
    before: str
    after: str
    seen: str


@pytest.fixture(scope="module")
def items() -> list[Item]:
    deployment = deployment_of(find_release(IamSettings()))
    return [item for service in (mariadb, redis, iam) for item in service.desired(deployment, A)]


def staged(state: Path, items: list[Item], directory: str) -> None:
    """Stage the files below one directory and run the checks that see them, as on a node."""
    files: list[dict[str, Any]] = [
        {"path": item.path, "text": item.text, "owner": "root", "group": "root", "mode": 0o644}
        for item in items
        if isinstance(item, File) and item.path.startswith(directory + "/")
    ]
    assert files
    checks = [item for item in (*items, *unit_files.check(items)) if isinstance(item, Check)]
    operations = [check.operation() for check in checks if directory in check.directories]
    assert len(operations) == 1
    node = Node()
    node.state = state
    node.make_state()
    stage(node, revision="1", serial=1, files=files, links=[], absent=[], units=[], unit_actions=[], checks=operations)


def with_change(items: list[Item], change: Change) -> list[Item]:
    (file,) = [item for item in items if isinstance(item, File) and item.path == change.path]
    assert change.before in file.text
    changed = File(file.path, file.text.replace(change.before, change.after, 1))
    return [changed if item is file else item for item in items]


@pytest.mark.parametrize("directory", ["/etc/mysql", "/etc/redis", "/etc/systemd/system"])
def test_what_is_deployed_passes_the_checks(items: list[Item], directory: str, tmp_path: Path) -> None:
    staged(tmp_path / "state", items, directory)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(Change(LIMITS, "max_connections", "max_connection5", "max_connection5"), id="MariaDB: no option"),
        pytest.param(Change(MARIADB, "[mariadbd]", "mariadbd", "without preceding group"), id="MariaDB: no section"),
        pytest.param(Change(REDIS, "databases 16", "databases sixteen", "couldn't be parsed"), id="Redis: wrong value"),
        pytest.param(Change(REDIS, "timeout 0", "time-out 0", "Bad directive"), id="Redis: no directive"),
        pytest.param(Change(REDIS, "appendfsync everysec", "appendfsync no yes", "appendfsync"), id="Redis: arguments"),
        pytest.param(Change(REFRESH, "User=iam", "Usr=iam", "Unknown key 'Usr'"), id="unit: no key"),
        pytest.param(
            Change(REFRESH, "TimeoutStartSec=30", "TimeoutStartSec=soon", "Failed to parse"), id="unit: wrong value"
        ),
        pytest.param(Change(REFRESH, "[Service]", "[Unknown]", "Unknown section 'Unknown'"), id="unit: no section"),
        pytest.param(
            Change(REDIS_UNIT, "Restart=always", "Restart=never", "Failed to parse"), id="drop-in: wrong value"
        ),
    ],
)
def test_a_wrong_candidate_is_refused_with_the_line_of_its_program(
    items: list[Item], change: Change, tmp_path: Path
) -> None:
    directory = next(
        each for each in ("/etc/mysql", "/etc/redis", "/etc/systemd/system") if change.path.startswith(each)
    )
    with pytest.raises(StepError) as caught:
        staged(tmp_path / "state", with_change(items, change), directory)
    assert caught.value.step == "check"
    assert change.seen in caught.value.seen


def test_a_refusal_of_redis_shows_no_password(items: list[Item], tmp_path: Path) -> None:
    for line, shown in (("requirepass", "requirepass"), ("user default on", "user")):
        change = Change(REDIS, "databases 16", f"{line} >s3cret and more", "")
        with pytest.raises(StepError) as caught:
            staged(tmp_path / "state", with_change(items, change), "/etc/redis")
        assert shown in caught.value.seen
        assert "s3cret" not in caught.value.seen


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('jwt:\n  key: "s3cret"quoted"\n', "expected <block end>"),
        ("jwt:\n\tkey: s3cret\n", "found character '\\\\t'"),
        ("- s3cret\n", r"must be a mapping \(got list\)"),
        ("", r"must be a mapping \(got NoneType\)"),
    ],
)
def test_yaml_that_the_iam_services_could_not_read_is_refused_without_its_text(text: str, reason: str) -> None:
    with pytest.raises(CandidateError, match=reason) as caught:
        refuse_invalid_yaml("iam-a", (File("/etc/iam/iam-apiserver.yaml", text),))
    assert "/etc/iam/iam-apiserver.yaml is not valid YAML" in str(caught.value)
    assert "s3cret" not in str(caught.value)
