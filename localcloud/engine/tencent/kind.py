"""What is to be known of one resource type, as data; the provider does the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localcloud.engine.tencent.api import Api
from localcloud.engine.values import Properties


def no_more(api: Api, resource_id: str, inputs: Properties) -> None:
    """Nothing is left to be done after the create call."""
    del api, resource_id, inputs


def nothing_to_find(api: Api, inputs: Properties) -> Sequence[str]:
    """For things that another create call would refuse or leave as they are."""
    del api, inputs
    return ()


@dataclass(frozen=True, slots=True)
class Kind:
    """Inputs are plain (secrets revealed), with defaults filled in; names as in the Pulumi SDK's wire format."""

    # The create call alone, and the id from its answer; `token` is an idempotency key.
    create: Callable[[Api, Properties, str], str]
    # What the thing is now; None when it is gone.
    read: Callable[[Api, str, Properties], Properties | None]
    # Succeeds when it is gone already; gets the outputs as last read.
    delete: Callable[[Api, str, Properties], None]
    # Old inputs and new ones; None: every change replaces it.
    update: Callable[[Api, str, Properties, Properties], None] | None = None
    # Waits, tags and further calls that belong to a create. May be done twice.
    settle: Callable[[Api, str, Properties], None] = no_more
    # Ids of things that look as a create with these inputs would have made them.
    find: Callable[[Api, Properties], Sequence[str]] = nothing_to_find
    required: tuple[str, ...] = ()
    replaces: frozenset[str] = frozenset()  # inputs that cannot change in place
    computed: frozenset[str] = frozenset()  # inputs that the cloud fills in: leaving one out is no change
    unordered: frozenset[str] = frozenset()  # lists that are sets
    defaults: Mapping[str, Any] = field(default_factory=dict)
    # Pulumi's bridge deletes first where the program sets the name itself (provider-api.md, "Replace order").
    delete_before_replace: bool = False
    check: Callable[[Properties], str | None] = lambda inputs: None  # noqa: ARG005 - why inputs are refused
