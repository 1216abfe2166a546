"""What the program asks for: one resource, as registered with the monitor."""

from __future__ import annotations

from dataclasses import dataclass, field

from pulumi.runtime.proto import resource_pb2

from localcloud.engine.hooks import WHENS
from localcloud.engine.values import Properties, from_struct


@dataclass(frozen=True, slots=True)
class Goal:
    urn: str
    type: str
    name: str
    custom: bool
    parent: str
    inputs: Properties
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    delete_before_replace: bool | None = None  # None: as the provider says
    secret_outputs: tuple[str, ...] = ()
    hooks: dict[str, tuple[str, ...]] = field(default_factory=dict)


def goal_of(request: resource_pb2.RegisterResourceRequest, urn: str) -> Goal:
    hooks = {when: tuple(getattr(request.hooks, when)) for when in WHENS}
    return Goal(
        urn=urn,
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent=request.parent,
        inputs=from_struct(request.object),
        dependencies=tuple(sorted(request.dependencies)),
        property_dependencies={
            key: tuple(sorted(found.urns)) for key, found in request.propertyDependencies.items() if found.urns
        },
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        deleted_with=request.deletedWith,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        secret_outputs=tuple(request.additionalSecretOutputs),
        hooks={when: names for when, names in hooks.items() if names},
    )


def unsupported(request: resource_pb2.RegisterResourceRequest) -> str | None:
    """Why this engine cannot do what is asked for; None when it can."""
    if request.type.startswith("pulumi:providers:"):
        return "explicit providers are not known to localcloud's engine; set the provider's configuration on the stack"
    found = [
        name
        for name, given in (
            ("import_", request.importId),
            ("aliases", request.aliases or request.aliasURNs),
            ("transforms", request.transforms),
            ("remote components", request.remote),
            ("replace_with", request.replace_with),
            ("provider", request.provider),
        )
        if given
    ]
    if found:
        return f"{', '.join(found)}: not known to localcloud's engine; run this program with the pulumi command"
    return None
