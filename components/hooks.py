"""What must happen before a node is changed or deleted. A before hook that fails, fails the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi import ErrorHook, ErrorHookArgs, ResourceHook, ResourceHookArgs, ResourceHookBinding, ResourceHookOptions

from components.change_lock import ChangeLock
from provisioning.errors import SwitchoverError

# Changes that a running node does not notice. Whatever is not listed takes the change lock: that is the safe side.
_UNNOTICED = frozenset(
    {"disableApiTermination", "instanceName", "orderlySecurityGroups", "projectId", "securityGroups", "tags"}
)
# The provider would move a running node; firewall, heartbeats and certificates know it by its old address.
_FOR_LIFE = ("privateIp", "subnetId", "vpcId")


class Hooks:
    """The hooks of one group. Each is registered once, under a name that stays: a node that is no longer in the
    program is deleted with the hooks that its name in the state finds in the program.
    """

    node: ResourceHookBinding  # of the nodes themselves
    attachment: ResourceHookBinding  # of what hangs on one node: replaced with it, and deleted before it

    def __init__(self, change_lock: ChangeLock) -> None:
        self._change_lock = change_lock
        leave = ResourceHook("leave-group", self._leave)
        self.node = ResourceHookBinding(
            before_update=[
                # In a preview too: what cannot be done should not look as if it could.
                ResourceHook("refuse-a-new-address", _refuse_a_new_address, ResourceHookOptions(on_dry_run=True)),
                ResourceHook("take-change-lock", self._take_lock),
            ],
            after_update=[ResourceHook("release-change-lock", self._release_lock)],
            before_delete=[leave],
            on_error=[ErrorHook("release-change-lock-after-failure", self._release_lock_after_failure)],
        )
        # Else a refused node would have lost its address and its disk by the time it is asked.
        self.attachment = ResourceHookBinding(before_delete=[leave])

    def declare(self, node: str) -> None:
        """The node is now as this run wants it."""
        self._change_lock.declare(node)

    async def _take_lock(self, args: ResourceHookArgs) -> None:
        if changed_keys(args.old_inputs, args.new_inputs) - _UNNOTICED:
            await self._change_lock.begin_change(node_of(args.name))

    def _release_lock(self, args: ResourceHookArgs) -> None:
        self._change_lock.end(node_of(args.name))

    def _release_lock_after_failure(self, args: ErrorHookArgs) -> bool:
        # Other changes wait for the lock; without this they would wait forever after a failed one.
        self._change_lock.end(node_of(args.name))
        return False

    async def _leave(self, args: ResourceHookArgs) -> None:
        await self._change_lock.begin_removal(node_of(args.name))


def _refuse_a_new_address(args: ResourceHookArgs) -> None:
    old, new = args.old_inputs or {}, args.new_inputs or {}
    for key in _FOR_LIFE:
        if _differ(old.get(key), new.get(key)):
            raise SwitchoverError(
                f"{node_of(args.name)}: its {key} is for life: it is {old.get(key)}, wanted is {new.get(key)}",
                seen="nothing was changed",
                look_at="tandem:nodes.members: add a node with the new address under a new name, "
                "then take the old one out in another `up`",
            )


def of_node(what: str, node: str) -> str:
    """The name of a resource that belongs to one node. No node's name has a dot in it."""
    return f"{what}.{node}"


def node_of(resource: str) -> str:
    """The node in such a name."""
    return resource.rpartition(".")[2]


def changed_keys(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> frozenset[str]:
    """The inputs that differ."""
    before, after = dict(old or {}), dict(new or {})
    return frozenset(
        key for key in before.keys() | after.keys() if key != "__defaults" and _differ(before.get(key), after.get(key))
    )


def _differ(old: Any, new: Any) -> bool:
    # A secret or a value that is not known yet says nothing about what a person asked for.
    if isinstance(old, pulumi.Output) or isinstance(new, pulumi.Output):
        return False
    return bool(old != new)
