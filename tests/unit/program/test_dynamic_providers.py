from __future__ import annotations

import base64
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
import yaml
from program_runs import run
from pulumi import RunError
from pulumi.dynamic.dynamic import ResourceProvider, serialize_provider
from pulumi.runtime.proto.engine_pb2 import LogRequest

from components.failures import Monitor, is_cancellation, leave_out, without_traceback
from components.health import HealthProvider
from components.host_keys import HostKeysProvider
from components.rollout import RolloutProvider, find_departed, refreshed
from provisioning.errors import GateError
from provisioning.exports import parse_exports, parse_inventory, parse_node
from provisioning.preview_text import read_manifest, show_files, show_items

_NODE = {
    "name": "iam-a",
    "instance_id": "ins-1",
    "private_address": "10.0.4.20",
    "ssh_address": "10.0.4.20",
    "user": "debian",
    "host_keys": ["ssh-ed25519 AAAA"],
    "eligible": True,
}


@pytest.fixture(autouse=True)
def _restore_traceback_limit() -> Iterator[None]:
    before = getattr(sys, "tracebacklimit", 1000)
    yield
    sys.tracebacklimit = before


@pytest.mark.parametrize("provider", [HostKeysProvider(), RolloutProvider(), HealthProvider()])
def test_the_state_contains_only_the_name_of_a_provider(provider: ResourceProvider) -> None:
    pickled = base64.b64decode(serialize_provider(provider))
    assert type(provider).__name__.encode() in pickled
    # If it contained code, every change of the code would be a change of the deployment.
    assert len(pickled) < 120
    assert pickled == base64.b64decode(serialize_provider(type(provider)()))


@pytest.mark.parametrize(
    ("provider", "serialized"),
    [
        (HostKeysProvider(), "gASVMAAAAAAAAACMFGNvbXBvbmVudHMuaG9zdF9rZXlzlIwQSG9zdEtleXNQcm92aWRlcpSTlCmBlC4="),
        (RolloutProvider(), "gASVLQAAAAAAAACMEmNvbXBvbmVudHMucm9sbG91dJSMD1JvbGxvdXRQcm92aWRlcpSTlCmBlC4="),
        (HealthProvider(), "gASVKwAAAAAAAACMEWNvbXBvbmVudHMuaGVhbHRolIwOSGVhbHRoUHJvdmlkZXKUk5QpgZQu"),
    ],
)
def test_another_version_of_python_or_dill_changes_no_deployment(provider: ResourceProvider, serialized: str) -> None:
    # Recorded with Python 3.11 and 3.13. Another value would be a change of all deployed stacks.
    assert serialize_provider(provider) == serialized


def _reported_by_pulumi(fail: Callable[[], None]) -> str:
    try:
        fail()
    except Exception:  # noqa: BLE001 - as in pulumi.dynamic
        return traceback.format_exc()
    raise AssertionError("no exception was raised")


class _FailingMonitor:
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def RegisterResource(self, request: object) -> None:  # noqa: N802 - a name of the engine's API
        del request
        raise grpc.aio.AioRpcError(self._code, grpc.aio.Metadata(), grpc.aio.Metadata(), "context canceled")


def test_a_cancelled_call_of_the_engine_ends_the_program_without_traceback() -> None:
    with pytest.raises(RunError, match="Resource monitor has terminated"):
        Monitor(_FailingMonitor(grpc.StatusCode.CANCELLED)).RegisterResource(None)
    with pytest.raises(grpc.RpcError):
        Monitor(_FailingMonitor(grpc.StatusCode.INVALID_ARGUMENT)).RegisterResource(None)


def test_unwanted_messages_are_left_out_of_the_connection_that_the_sdk_uses_after_the_program() -> None:
    class Engine:
        def __init__(self) -> None:
            self.shown: list[str] = []

        def Log(self, request: LogRequest) -> None:  # noqa: N802 - a name of the engine's API
            self.shown.append(request.message)

    engine = Engine()
    leave_out(engine, is_cancellation)
    leave_out(engine, "refused".__eq__)
    for message in ("Resource monitor has terminated, shutting down", "refused", "refused: the address is used"):
        engine.Log(LogRequest(message=message))
    assert engine.shown == ["refused: the address is used"]


def test_a_provisioning_error_is_reported_without_traceback() -> None:
    @without_traceback
    def fail() -> None:
        raise GateError("iam-b (10.0.4.21): does not serve", seen="502 Bad Gateway", look_at="/var/log/nginx/error.log")

    assert _reported_by_pulumi(fail) == (
        "GateError: iam-b (10.0.4.21): does not serve\n  502 Bad Gateway\n  look at: /var/log/nginx/error.log\n"
    )


def test_other_exceptions_keep_their_traceback() -> None:
    @without_traceback
    def fail() -> None:
        raise KeyError("oops")

    assert "in fail" in _reported_by_pulumi(fail)


# The engine compares the inputs, and a preview shows only what differs (components/input_diff.py).
_COMPARED_BY_ENGINE = None


def test_host_keys_are_only_read_again_for_a_new_instance() -> None:
    provider = HostKeysProvider()
    old = {"instance_id": "ins-1", "node": _NODE, "private_key": "k", "host_keys": ["x"]}
    assert (
        provider.diff("iam-a", old, {**old, "private_key": "another", "node": {**_NODE, "user": "u"}}).changes is False
    )
    new = provider.diff("iam-a", old, {**old, "instance_id": "ins-2"})
    assert (new.changes, new.replaces) == (_COMPARED_BY_ENGINE, [])
    # In the preview of a replacement, inputs that depend on the instance are unknown.
    unknown = {**old, "instance_id": object(), "node": object()}
    assert provider.diff("iam-a", old, unknown).changes is _COMPARED_BY_ENGINE


def _rollout_inputs() -> dict[str, Any]:
    inputs = dict(run("local").get("rollout").inputs)
    return {**inputs, "bastion": None}


def test_a_rollout_with_unchanged_inputs_does_not_run() -> None:
    inputs = _rollout_inputs()
    assert RolloutProvider().diff("x", {**inputs, "revision": "r", "drift": {}}, inputs).changes is False


@pytest.mark.parametrize("key", ["nodes", "files", "manifests", "values", "secrets", "virtual_ips", "private_key"])
def test_a_change_of_any_input_runs_the_rollout(key: str) -> None:
    inputs = _rollout_inputs()
    old = {**inputs, "revision": "r", "drift": {}}
    found = RolloutProvider().diff("x", old, {**inputs, key: "another"})
    assert (found.changes, found.replaces) == (_COMPARED_BY_ENGINE, [])


def test_a_removed_node_is_distinguished_from_a_replaced_node() -> None:
    old = {"nodes": [_NODE, {**_NODE, "name": "iam-b"}, {**_NODE, "name": "iam-c"}]}
    new = {"nodes": [_NODE, {**_NODE, "name": "iam-b", "instance_id": "ins-9"}]}
    assert find_departed(old, new) == ["iam-c"]


def test_drift_found_by_a_refresh_runs_the_rollout() -> None:
    inputs = _rollout_inputs()
    drift = {"iam-a": ["/etc/nginx/nginx.conf: content differs"]}
    read = refreshed("x", {**inputs, "revision": "r", "drift": {}, "incomplete": []}, drift)
    assert RolloutProvider().diff("x", read.outs or {}, inputs).changes is _COMPARED_BY_ENGINE
    # The drift is the only difference that the engine finds and shows.
    assert read.inputs == {**inputs, "drift": drift}
    # The engine compares the result of a second refresh with these inputs: the drift lasts.
    assert RolloutProvider().diff("x", read.outs or {}, read.inputs or {}).changes is True


def test_a_refresh_without_drift_changes_no_input_and_ends_an_earlier_drift() -> None:
    inputs = _rollout_inputs()
    read = refreshed("x", {**inputs, "revision": "r", "drift": {"iam-a": ["x"]}, "incomplete": []}, {})
    assert (read.inputs, (read.outs or {})["drift"]) == (inputs, {})
    assert RolloutProvider().diff("x", read.outs or {}, inputs).changes is False


def test_a_node_that_a_rollout_has_skipped_is_completed_by_the_next_run() -> None:
    inputs = _rollout_inputs()
    old = {**inputs, "revision": "r", "drift": {}, "incomplete": ["iam-b"]}
    assert RolloutProvider().diff("x", old, inputs).changes is True
    assert RolloutProvider().diff("x", {**old, "incomplete": []}, inputs).changes is False


def test_health_is_only_checked_again_after_a_rollout() -> None:
    old = {
        "revision": "1", "public_ips": ["203.0.113.10"], "authorities": {"api": "c"},
        "sites": {"api": {"domain": "a", "https": True, "http": "redirect", "default": False}},
        "password": "p",
    }  # fmt: skip
    assert HealthProvider().diff("x", old, dict(old)).changes is False
    assert HealthProvider().diff("x", old, {**old, "revision": "2"}).changes is _COMPARED_BY_ENGINE


def test_manifests_are_restored_from_inputs() -> None:
    inputs = _rollout_inputs()
    for host in ("iam-a", "iam-b"):
        manifest = read_manifest(host, inputs["manifests"][host], inputs["files"][host])
        assert show_files(manifest) == inputs["files"][host]
        assert show_items(manifest) == inputs["manifests"][host]


def test_no_text_can_be_parsed_as_yaml_or_json() -> None:
    inputs = _rollout_inputs()
    texts = [*inputs["manifests"].values(), *(text for files in inputs["files"].values() for text in files.values())]
    for text in texts:
        # Pulumi would show it as a tree, even if it is unchanged.
        with pytest.raises(yaml.YAMLError):
            yaml.safe_load(text)


def test_nodes_are_restored_from_inputs() -> None:
    host = parse_node(_NODE)
    assert (host.name, host.ssh_port, host.host_keys) == ("iam-a", 22, ("ssh-ed25519 AAAA",))
    inventory = parse_inventory(
        {"group": "tandem-local", "nodes": [_NODE], "virtual_ips": ["10.0.4.99"], "private_key": "k", "bastion": _NODE}
    )
    assert inventory.bastion == host


def test_hooks_read_the_group_from_the_exports() -> None:
    exports = run("local", {"access.mode": "bastion"}).exports
    parsed = parse_exports(exports)
    assert parsed is not None
    inventory = parsed.inventory
    assert [host.name for host in inventory.nodes] == ["iam-a", "iam-b"]
    assert inventory.private_key == "credentials-deployment-key.privateKeyOpenssh"
    assert inventory.bastion is not None
    assert parse_exports({}) is None
