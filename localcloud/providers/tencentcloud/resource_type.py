"""What is to be known of one resource type, as data; adapter and backend do the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from localcloud.providers.schema import Schema
from localcloud.providers.tencentcloud.api import Api
from localcloud.providers.values import Properties


def no_more(api: Api, resource_id: str, inputs: Properties) -> None:
    """Nothing is left to be done after the create call."""
    del api, resource_id, inputs


@dataclass(frozen=True, slots=True)
class ResourceType:
    """Inputs are plain, with defaults filled in; names as in the Pulumi SDK's wire format."""

    schema: Schema
    # Only the create call, and the id from its answer; `token` is an idempotency key.
    create: Callable[[Api, Properties, str], str]
    # What the resource is now; None when it is gone. An import has an empty state.
    read: Callable[[Api, str, Properties], Properties | None]
    # Succeeds when the resource is gone already; gets the state as last read.
    delete: Callable[[Api, str, Properties], None]
    # The state as last read and the new inputs, of which something that can change in place differs.
    update: Callable[[Api, str, Properties, Properties], None] | None = None
    # Waits, tags and further calls that belong to a create. May be done twice.
    settle: Callable[[Api, str, Properties], None] = no_more
