"""The full program with all options enabled: refresh finds no changes, secrets stay secret, destroy removes all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.full_project import FullProject, full_project, nothing_to_do

pytestmark = pytest.mark.timeout(1200)

EVERY_OPTION: dict[str, Any] = {
    # Document 651/13354 permits Chinese characters and spaces; YAML reads the last value as a number.
    "tags": {"部门": "基础架构", "cost center": "A 7", "ticket": 4711},
    "domains": {"api": "api.example.com", "authz": "authz.example.com"},
    "dns.zone": "example.com",
    "alarms": {"enabled": True, "receivers": {"urls": ["https://example.com/hook"]}},
    "network.egress": "nat",
    "keepalived.mode": "dual-master",
    "virtualIp.secondAddress": "10.0.4.98",
    "access.mode": "bastion",
}
_SECRET = "4dabf18193072939515e22adb298388d"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullProject]:
    with full_project(tmp_path_factory.mktemp("every")) as deployed:
        deployed.succeed("up", changes=EVERY_OPTION)
        yield deployed


def _secrets(value: Any) -> Iterator[str]:
    """Yield the texts of 8 characters or more that `stack export --show-secrets` marks as secret."""
    if isinstance(value, dict):
        if _SECRET in value and "plaintext" in value:
            yield from _texts(json.loads(value["plaintext"]))
        else:
            for inner in value.values():
                yield from _secrets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= 8:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def test_a_refresh_after_a_deployment_finds_no_changes(project: FullProject) -> None:
    assert nothing_to_do(project.succeed("refresh", changes=EVERY_OPTION))
    assert nothing_to_do(project.succeed("preview", changes=EVERY_OPTION))


def test_neither_output_nor_state_contains_a_secret(project: FullProject) -> None:
    changed = EVERY_OPTION | {"nginx": {"workerConnections": 8192}}
    secrets = set(_secrets(json.loads(project.pulumi("stack", "export", "--show-secrets", "--stack", "local"))))
    # Secret for resources, but plain in this stack's file, and so in the configuration of providers.
    secrets -= set(EVERY_OPTION["alarms"]["receivers"]["urls"])
    assert len(secrets) >= 20
    (project.folder / "fail-rollout").touch()
    try:
        failed = project.fail("up", changes=changed)
    finally:
        (project.folder / "fail-rollout").unlink()
    texts = {
        "state": project.pulumi("stack", "export", "--stack", "local"),
        "preview": project.succeed("preview", changes=changed),
        "failed up": failed,
        "up": project.succeed("up", changes=EVERY_OPTION),
    }
    for name, text in texts.items():
        shown = [secret[:4] for secret in secrets if secret in text or json.dumps(secret)[1:-1] in text]
        assert not shown, f"{name} shows {len(shown)} secrets"


@pytest.mark.parametrize("action", ["cvm:TerminateInstances", "vpc:DeleteHaVip", "vpc:ReleaseAddresses"])
def test_the_next_destroy_finishes_a_failed_one(project: FullProject, action: str) -> None:
    project.succeed("up", changes=EVERY_OPTION)
    project.cloud.fault(action, code="InternalError", times=0)
    project.fail("destroy", changes=EVERY_OPTION)
    assert project.objects()
    project.cloud.clear_faults()
    project.succeed("destroy", changes=EVERY_OPTION)
    assert not project.state().get("resources")
    assert (project.cloud.counts(), project.cloud.more_counts()) == ({}, {})
