"""The sites and upstreams of the IAM services."""

from __future__ import annotations

from provisioning.deployment import Deployment
from provisioning.services.iam import APISERVER_PORT, AUTHZ_PORT
from provisioning.upstreams import Server, Upstream


def upstreams(deployment: Deployment) -> tuple[Upstream, ...]:
    """One upstream for each of the two services; every node runs both."""
    if not deployment.iam.enabled:
        return ()
    nginx = deployment.nginx

    def upstream(name: str, port: int) -> Upstream:
        return Upstream(
            name=name,
            servers=tuple(
                Server(
                    node.private_address,
                    port,
                    max_fails=nginx.max_fails,
                    fail_timeout_s=nginx.fail_timeout_s,
                    comment=node.name,
                )
                for node in deployment.nodes
            ),
            method=nginx.balance,
            keepalive=nginx.upstream_keepalive,
            look_at="provisioning/services/iam_sites.py",
        )

    return (upstream("iam-apiserver", APISERVER_PORT), upstream("iam-authz-server", AUTHZ_PORT))
