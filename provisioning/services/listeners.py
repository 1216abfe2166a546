"""The TCP ports of services behind nginx, and the nodes that run them."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.deployment import Deployment, Node
from provisioning.services.iam import APISERVER_PORT, AUTHZ_PORT


@dataclass(frozen=True, slots=True)
class Listener:
    """A port to which nginx on the eligible nodes distributes requests. The nodes open it to them only."""

    service: str  # as a site's location names it: "web", "iam-apiserver"
    port: int
    nodes: tuple[Node, ...]


def listeners(deployment: Deployment) -> list[Listener]:
    """The ports of all services of the deployment."""
    iam = [
        Listener("iam-apiserver", APISERVER_PORT, deployment.nodes),
        Listener("iam-authz-server", AUTHZ_PORT, deployment.nodes),
    ]
    return [
        *(iam if deployment.iam.enabled else []),
        *(
            Listener(app.name, app.settings.port, deployment.nodes_of(app))
            for app in deployment.apps
            if app.settings.port is not None
        ),
    ]
