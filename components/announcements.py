"""Says before a deployment what a requested change costs: what nodes or clients cannot be spared from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from provisioning.exports import Exports
from settings.keepalived import KeepalivedSettings
from settings.sections import Settings

# One value only is valid at a time, or clients have to act. All other secrets are rotated without any effect.
_EFFECTS = {
    "jwtKey": "iam-apiserver has one key at a time: tokens issued before the change are refused (401), and while the "
    "nodes change one by one, a token is only valid on nodes with the same key. Users log in again.",
    "adminPassword": "the old password of the account admin is refused as soon as the new one is set.",
    "ca": "clients that trust the stack's own CA must trust the new one (`tandem outputs ca_certificate`); nginx "
    "presents a certificate of the new CA as soon as its node has changed.",
}
_VRRP_EFFECT = (
    "nodes with different VRRP settings do not understand each other. During the change keepalived runs on one node "
    "only: no other node can take over, and the virtual IP is interrupted for up to 4 s."
)


def announce_changes(settings: Settings, deployed: Exports | None) -> None:
    """Show the effects of changes of secrets and of VRRP settings, in a preview and before a deployment."""
    if deployed is None:
        return
    for line in find_announcements(settings, deployed):
        pulumi.log.warn(line)


def find_announcements(settings: Settings, deployed: Exports) -> Iterator[str]:
    """Return one line for each change with an effect."""
    for name, effect in _EFFECTS.items():
        current, requested = deployed.generations.get(name, "1"), describe_generations(settings).get(name, "1")
        if current != requested:
            yield f"tandem:credentials.generation.{name} changes from {current} to {requested}: {effect}"
    requested_vrrp = describe_vrrp(settings)
    changed = [key for key, current in deployed.vrrp.items() if requested_vrrp.get(key, current) != current]
    if changed:
        yield f"{', '.join(changed)} changes: {_VRRP_EFFECT}"


def describe_generations(settings: Settings) -> dict[str, str]:
    """Return the generation of each secret that is not the first."""
    return {name: str(generation) for name, generation in settings.credentials.generation.items() if generation != 1}


def describe_vrrp(settings: Settings) -> Mapping[str, Any]:
    """Return the VRRP settings that all nodes must share, by their key in the stack's file."""
    keepalived: KeepalivedSettings = settings.keepalived
    shared = {
        "tandem:keepalived.profile": keepalived.profile,
        "tandem:keepalived.mode": keepalived.mode,
        "tandem:keepalived.virtualRouterId": keepalived.virtual_router_id,
        "tandem:keepalived.vrrpVersion": keepalived.vrrp_version,
        "tandem:keepalived.authentication": keepalived.authentication,
        "tandem:keepalived.syncGroup": keepalived.sync_group,
    }
    if keepalived.profile == "seed" or keepalived.authentication != "none":
        shared["tandem:credentials.generation.vrrpPassword"] = settings.credentials.generation_of("vrrpPassword")
    return shared
