"""What must happen before a machine is changed or deleted. A before hook that fails, fails the step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import ErrorHook, ErrorHookArgs, ResourceHook, ResourceHookArgs, ResourceHookBinding, ResourceHookOptions

from provisioning.errors import HandOverError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.turns import Turns

# Changes that a running machine does not notice. Whatever is not listed takes a turn: that is the safe side.
_UNNOTICED = frozenset(
    {"disableApiTermination", "instanceName", "orderlySecurityGroups", "projectId", "securityGroups", "tags"}
)
# The provider would move a running machine; firewall, heartbeats and certificates know it by its old address.
_FOR_LIFE = ("privateIp", "subnetId", "vpcId")


def machine_hooks(turns: Turns) -> ResourceHookBinding:
    """The hooks of every machine of one group."""

    def refuse_a_new_address(args: ResourceHookArgs) -> None:
        old, new = args.old_inputs or {}, args.new_inputs or {}
        for key in _FOR_LIFE:
            if _differ(old.get(key), new.get(key)):
                raise HandOverError(
                    f"{machine_of(args.old_inputs)}: its {key} is for life: it is {old.get(key)}, wanted is {new.get(key)}",
                    seen="nothing was changed",
                    look_at="tandem:machines.nodes: add a machine with the new address under a new name, "
                    "then take the old one out in another `up`",
                )

    async def take_turn(args: ResourceHookArgs) -> None:
        if changed_keys(args.old_inputs, args.new_inputs) - _UNNOTICED:
            await turns.begin_change(machine_of(args.old_inputs))

    async def leave(args: ResourceHookArgs) -> None:
        await turns.begin_removal(machine_of(args.old_inputs))

    def end_turn(args: ResourceHookArgs) -> None:
        turns.end(machine_of(args.old_inputs))

    def end_failed_turn(args: ErrorHookArgs) -> bool:
        # Others wait for the turn; without this a failed change would leave them waiting for ever.
        turns.end(machine_of(args.old_inputs or args.new_inputs))
        return False

    return ResourceHookBinding(
        before_update=[
            # In a preview too: what cannot be done should not look as if it could.
            ResourceHook("refuse-a-new-address", refuse_a_new_address, ResourceHookOptions(on_dry_run=True)),
            ResourceHook("take-turn", take_turn),
        ],
        after_update=[ResourceHook("end-turn", end_turn)],
        before_delete=[ResourceHook("leave-group", leave)],
        on_error=[ErrorHook("end-failed-turn", end_failed_turn)],
    )


def machine_of(inputs: Mapping[str, Any] | None) -> str:
    """The machine's host name."""
    return str((inputs or {})["hostname"])


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
