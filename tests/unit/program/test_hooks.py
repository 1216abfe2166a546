from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from program_runs import run
from pulumi import ErrorHookArgs, Output, ResourceHookArgs
from pulumi.runtime import mocks
from pulumi.runtime.stack import run_pulumi_func
from test_node_sequence import FakeGroup

from components.changes import LeavingNodes
from components.hooks import Hooks, changed_keys, node_of, of_node
from components.node_sequence import NodeSequence
from provisioning.errors import SwitchoverError


def _in_pulumi(test: Callable[[], Any]) -> Callable[[], None]:
    """Run a test in a Pulumi program, where hooks can be registered."""

    class NoRequests(mocks.Mocks):
        def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
            raise AssertionError(args.token)

        def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
            raise AssertionError(args.name)

    @functools.wraps(test)
    def wrapper() -> None:
        async def main() -> None:
            mocks.set_mocks(NoRequests())
            # Waits for all tasks of Pulumi, so none of them runs during the next test.
            await run_pulumi_func(test)

        asyncio.run(main())

    return wrapper


def _args(node: str, old: dict[str, Any], new: dict[str, Any]) -> ResourceHookArgs:
    return ResourceHookArgs("urn", "id", of_node("nodes", node), "type", new_inputs=new, old_inputs=old)


def _update_hooks(hooks: Hooks) -> tuple[Any, Any]:
    refuse, take = hooks.node.before_update or []
    return refuse, take


@_in_pulumi
async def test_resized_nodes_are_changed_one_at_a_time() -> None:
    group = FakeGroup()
    hooks = Hooks(NodeSequence(group))
    _, take = _update_hooks(hooks)
    (end,) = hooks.node.after_update or []
    sizes = {"instanceType": "S5.MEDIUM2"}, {"instanceType": "S5.MEDIUM4"}
    await take(_args("a", *sizes))
    second = asyncio.create_task(take(_args("b", *sizes)))
    await asyncio.sleep(0.01)
    assert group.calls == ["take out a"]
    await cast("Awaitable[None]", end(_args("a", *sizes)))
    await second
    assert group.calls == ["take out a", "put back a", "take out b"]


@_in_pulumi
async def test_non_disruptive_changes_do_not_drain_the_node() -> None:
    group = FakeGroup()
    _, take = _update_hooks(Hooks(NodeSequence(group)))
    await take(_args("a", {"tags": {"x": "1"}, "instanceName": "n"}, {"tags": {"x": "2"}, "instanceName": "m"}))
    await take(_args("a", {"orderlySecurityGroups": ["sg-1"]}, {"orderlySecurityGroups": ["sg-2"]}))
    assert group.calls == []


@_in_pulumi
async def test_a_node_is_not_resized_while_the_bastion_moves() -> None:
    change = "current bastion at 10.0.4.5, requested no bastion"
    refuse, _ = _update_hooks(Hooks(NodeSequence(FakeGroup()), change))
    refuse(_args("a", {"orderlySecurityGroups": ["sg-1"]}, {"orderlySecurityGroups": ["sg-2"]}))
    with pytest.raises(SwitchoverError, match=rf"a: instanceType cannot be changed in the `up` that .* \({change}\)"):
        refuse(_args("a", {"instanceType": "S5.MEDIUM2"}, {"instanceType": "S5.MEDIUM4"}))
    stays, _ = _update_hooks(Hooks(NodeSequence(FakeGroup())))
    stays(_args("a", {"instanceType": "S5.MEDIUM2"}, {"instanceType": "S5.MEDIUM4"}))


@_in_pulumi
async def test_unknown_changes_drain_the_node() -> None:
    group = FakeGroup()
    _, take = _update_hooks(Hooks(NodeSequence(group)))
    await take(_args("a", {}, {"somethingNew": True}))
    assert group.calls == ["take out a"]


@_in_pulumi
async def test_a_new_address_is_also_refused_in_a_preview() -> None:
    refuse, _ = _update_hooks(Hooks(NodeSequence(FakeGroup())))
    assert refuse.opts.on_dry_run
    with pytest.raises(
        SwitchoverError,
        match=r"a: privateIp cannot be changed after creation \(current 10\.0\.4\.20, requested 10\.0\.4\.22\)",
    ):
        refuse(_args("a", {"privateIp": "10.0.4.20"}, {"privateIp": "10.0.4.22"}))


@_in_pulumi
async def test_a_failed_change_lets_the_next_node_begin_and_is_not_retried() -> None:
    group = FakeGroup()
    hooks = Hooks(NodeSequence(group))
    _, take = _update_hooks(hooks)
    (on_error,) = hooks.node.on_error or []
    await take(_args("a", {"instanceType": "1"}, {"instanceType": "2"}))
    failed = ErrorHookArgs("urn", "id", "nodes.a", "type", failed_operation="update")
    assert await cast("Awaitable[bool]", on_error(failed)) is False
    assert group.calls == ["take out a", "put back a after a failure"]
    await asyncio.wait_for(take(_args("b", {"instanceType": "1"}, {"instanceType": "2"})), 1)


@_in_pulumi
async def test_a_node_is_retired_once_before_its_attached_resources_are_deleted() -> None:
    group = FakeGroup()
    hooks = Hooks(NodeSequence(group))
    (leave,) = hooks.attachment.before_delete or []
    assert hooks.node.before_delete == [leave]
    for name in ("vip.a", "nodes-data.a", "nodes.a"):
        await cast("Awaitable[None]", leave(ResourceHookArgs("urn", "id", name, "type")))
    assert group.calls == ["retire a"]


@_in_pulumi
async def test_a_failed_deletion_before_a_replacement_puts_the_node_back_unless_a_resource_is_detached() -> None:
    group = FakeGroup()
    hooks = Hooks(NodeSequence(group))
    hooks.declare_member("a")
    (leave,) = hooks.attachment.before_delete or []
    (detached,) = hooks.attachment.after_delete or []
    (on_error,) = hooks.attachment.on_error or []
    attachment = ResourceHookArgs("urn", "id", "nodes-data.a", "type")
    failed = ErrorHookArgs("urn", "id", "nodes-data.a", "type", failed_operation="delete")
    await cast("Awaitable[None]", leave(attachment))
    assert await cast("Awaitable[bool]", on_error(failed)) is False
    assert group.calls == ["check a", "retire a", "put back a after a failure"]
    await cast("Awaitable[None]", leave(attachment))
    detached(attachment)
    await cast("Awaitable[bool]", on_error(failed))
    assert group.calls == ["check a", "retire a", "put back a after a failure", "check a", "retire a"]


@_in_pulumi
async def test_only_an_attachment_that_the_program_no_longer_declares_demotes_its_node() -> None:
    group = FakeGroup()
    sequence = NodeSequence(group)
    hooks = Hooks(sequence)
    (leave,) = hooks.havip_attachment.before_delete or []
    for node in ("a", "b"):
        hooks.declare_member(node)
        sequence.declare(node)
    hooks.declare_attachment("vip.a")  # deleted by destroy, or replaced with its HAVIP
    for name in ("vip.a", "vip.b", "vip.b"):
        await cast("Awaitable[None]", leave(ResourceHookArgs("urn", "id", name, "type")))
    assert group.calls == ["demote b"]


@_in_pulumi
async def test_a_removed_node_is_retired_and_not_demoted() -> None:
    group = FakeGroup()
    hooks = Hooks(NodeSequence(group))
    (leave,) = hooks.havip_attachment.before_delete or []
    await cast("Awaitable[None]", leave(ResourceHookArgs("urn", "id", "vip.removed", "type")))
    assert group.calls == ["retire removed"]


@_in_pulumi
async def test_leaving_nodes_are_out_of_service_before_the_rules_of_a_security_group_change() -> None:
    group = FakeGroup()
    hooks = Hooks(NodeSequence(group), leaving=LeavingNodes(removed=("a",), demoted=("b",)))
    (leave_before_rules,) = hooks.rules.before_update or []
    (leave,) = hooks.node.before_delete or []
    for group_of in ("eligible", "application"):
        await cast("Awaitable[None]", leave_before_rules(ResourceHookArgs("urn", "id", group_of, "type")))
    await cast("Awaitable[None]", leave(ResourceHookArgs("urn", "id", "nodes.a", "type")))
    assert group.calls == ["retire a", "demote b"]


def test_secrets_and_defaults_are_not_compared() -> None:
    old = {"__defaults": ["x"], "userDataRaw": "old", "same": 1}
    new = {"__defaults": [], "userDataRaw": _some_output(), "same": 1}
    assert changed_keys(old, new) == frozenset()


def test_the_name_of_a_resource_contains_its_node() -> None:
    assert node_of(of_node("vip2", "iam-a")) == "iam-a"


def test_nodes_and_their_attached_resources_have_hooks() -> None:
    declared = run("local", {"access.mode": "public"})
    hooked = {"Instance/instance", "Ha/vipInstanceAttachment", "Cbs/storageAttachment", "Eip/association"}
    for each in declared.resources:
        type_ = each.type.split(":")[1]
        name = "leave-virtual-ip" if type_.startswith("Ha/") else "leave-group"
        assert list(each.request.hooks.before_delete) == ([name] if type_ in hooked else []), each.name
    node = declared.get("nodes.iam-a").request.hooks
    assert list(node.before_update) == ["refuse-a-new-address", "take-change-lock"]
    assert list(node.after_update) == ["release-change-lock"]
    assert list(node.on_error) == ["release-change-lock-after-failure"]


def _some_output() -> Output[str]:
    return Output.__new__(Output)  # pyright: ignore[reportUnknownVariableType] - only its type is used
