"""Notifications of each change of master and each fault. The events are recorded by programs/event_recorder.py."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item, restart
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.packages import packages
from provisioning.services.programs import FOLDER, sources_of

UNIT = "tandem-notify"
PROGRAM = f"{FOLDER}/notifier"
SETTINGS = "/etc/tandem/notifications.json"


def desired(deployment: Deployment, node: Node) -> list[Item]:
    channels = deployment.notifications.channels()
    if not node.eligible or not channels:
        return []
    receivers = [
        {"name": name.replace("[", "-").replace("]", ""), "kind": name.partition("[")[0].removesuffix("s"),
         **{field: _shown(f"{name}.{field}", value) for field, value in channel if value is not None}}
        for name, channel in channels.items()
    ]  # fmt: skip
    changed = (restart(UNIT),)
    return [
        *packages(deployment, "ca-certificates"),
        Directory(PROGRAM),
        *(File(f"{PROGRAM}/{name}", text, after=changed) for name, text in sources_of("notifier").items()),
        # Its URLs and passwords are secrets, so the program reads a file instead of arguments.
        File(SETTINGS, json.dumps({"receivers": receivers}, indent=2) + "\n", mode=0o600, after=changed),
        File(
            f"/etc/systemd/system/{UNIT}.service",
            render("notifications/tandem-notify.service.j2", folder=FOLDER, settings=SETTINGS),
            after=changed,
        ),
        Unit(UNIT),
    ]


def _shown(setting: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return placeholders.escaped_placeholder(placeholders.notification(setting), "json")
    return value
