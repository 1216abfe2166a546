"""Collects the upstreams of a deployment: those of the settings, of IAM and of services."""

from __future__ import annotations

from collections.abc import Callable

from provisioning.deployment import Deployment
from provisioning.services import iam_sites
from provisioning.upstreams import Server, Upstream
from settings.upstreams import ServerSettings


def of_settings(deployment: Deployment) -> tuple[Upstream, ...]:
    """The upstreams of `tandem:nginx.upstreams`."""
    nodes = {node.name: node.private_address for node in deployment.nodes}
    by_address = {address: name for name, address in nodes.items()}
    nginx = deployment.nginx

    def server(given: ServerSettings) -> Server:
        address = nodes.get(given.address, given.address)
        return Server(
            address=address,
            port=given.port,
            weight=given.weight,
            backup=given.backup,
            down=given.down,
            max_conns=given.max_conns,
            max_fails=nginx.max_fails if given.max_fails is None else given.max_fails,
            fail_timeout_s=given.fail_timeout_s or nginx.fail_timeout_s,
            comment=by_address.get(address, ""),
        )

    return tuple(
        Upstream(
            name=name,
            servers=tuple(server(given) for given in each.servers),
            method=each.method,
            hash_key=each.hash_key or "",
            consistent=each.consistent,
            keepalive=nginx.upstream_keepalive if each.keepalive is None else each.keepalive,
            zone_kib=each.zone_kib,
            look_at=f"tandem:nginx.upstreams.{name}",
        )
        for name, each in nginx.upstreams.items()
    )


def of_services(deployment: Deployment) -> tuple[Upstream, ...]:
    """One upstream for each service of `tandem:services` that has a port, with the name of the service."""
    nginx = deployment.nginx
    return tuple(
        Upstream(
            name=app.name,
            servers=tuple(
                Server(
                    node.private_address, port, max_fails=nginx.max_fails, fail_timeout_s=nginx.fail_timeout_s,
                    comment=node.name,
                )
                for node in deployment.nodes_of(app)
            ),
            method=nginx.balance,
            keepalive=nginx.upstream_keepalive,
            look_at=f"tandem:services.{app.name}",
        )
        for app in deployment.apps
        if (port := app.settings.port) is not None
    )  # fmt: skip


# Each returns upstreams; a location's `proxy` names one of them.
_SOURCES: tuple[Callable[[Deployment], tuple[Upstream, ...]], ...] = (iam_sites.upstreams, of_services, of_settings)


def upstreams(deployment: Deployment) -> tuple[Upstream, ...]:
    """All upstreams. Raises: ValueError if two have one name."""
    found: dict[str, Upstream] = {}
    for upstream in (each for source in _SOURCES for each in source(deployment)):
        if upstream.name in found:
            raise ValueError(
                f"an upstream must have a unique name (got {upstream.name} from {found[upstream.name].look_at} "
                f"and from {upstream.look_at})"
            )
        found[upstream.name] = upstream
    return tuple(found.values())
