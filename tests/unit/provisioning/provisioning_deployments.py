"""Deployments for tests."""

from __future__ import annotations

from typing import Any

from provisioning.deployment import Deployment, Domains, Node
from settings.data import DataSettings
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.nginx import NginxSettings
from settings.notifications import NotificationsSettings
from settings.releases import Release


def deployment(
    *,
    profile: str = "fast",
    mode: str = "nopreempt",
    nginx: dict[str, Any] | None = None,
    application_nodes: int = 0,
    virtual_ips: tuple[str, ...] = ("10.0.4.99",),
    keepalived: dict[str, Any] | None = None,
    second_router: tuple[str, ...] = ("10.0.4.98",),
    notifications: dict[str, Any] | None = None,
) -> Deployment:
    nodes = (
        Node("iam-a", "10.0.4.20"),
        Node("iam-b", "10.0.4.21"),
        *(Node(f"iam-{'cdefgh'[n]}", f"10.0.4.{22 + n}", eligible=False) for n in range(application_nodes)),
    )
    return Deployment(
        group="tandem-test",
        nodes=nodes,
        virtual_ips=virtual_ips,
        domains=Domains("iam.api.example.com", "iam.authz.example.com"),
        nginx=NginxSettings.model_validate(nginx or {}),
        keepalived=KeepalivedSettings.model_validate({"profile": profile, "mode": mode, **(keepalived or {})}),
        iam=IamSettings(),
        data=DataSettings(),
        of_second_router=second_router,
        notifications=NotificationsSettings.model_validate(notifications or {}),
        release=Release("iam-stand-in.tar.gz", "0" * 64, stand_in=True),
    )
