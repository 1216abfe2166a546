"""The definition of one resource type, used by the adapter and the backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from localcloud.providers.schema import Schema
from localcloud.providers.tencentcloud.api import Api
from localcloud.providers.values import Properties


def do_nothing(_api: Api, _resource_id: str, _inputs: Properties) -> None:
    """Do nothing; for types that are complete after the create call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType(Schema):
    """The schema and operations of a type. Inputs have defaults set; names are those of the Pulumi wire format."""

    # Makes the create call and returns the ID; `token` is an idempotency key.
    create: Callable[[Api, Properties, str], str]
    # Returns the current outputs, or None if the resource does not exist. An import has an empty state.
    read: Callable[[Api, str, Properties], Properties | None]
    # Deletes the resource, given the last state. Succeeds if it does not exist.
    delete: Callable[[Api, str, Properties], None]
    # Changes the resource in place, given the last state and the new inputs.
    update: Callable[[Api, str, Properties, Properties], None] | None = None
    # Waits, tags and other calls after a create. Can be repeated.
    settle: Callable[[Api, str, Properties], None] = do_nothing
