"""Static content: the files of sites, delivered to the eligible nodes as releases are."""

from __future__ import annotations

from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item
from provisioning.kinds.directory import Directory
from provisioning.services.delivery import Delivery
from provisioning.sites import CONTENT_DIRECTORY

_KEPT = 2  # previous versions


def desired(deployment: Deployment, node: Node) -> list[Item]:
    """Nginx opens the files of each request, so the switch of the link needs no reload."""
    if not node.eligible:
        return []
    items: list[Item] = []
    for site in deployment.nginx.sites:
        bundles = deployment.content.get(site.name)
        if bundles is None:
            continue
        bundle = bundles.get(node.name) or bundles[""]
        directory = f"{CONTENT_DIRECTORY}/{site.name}"
        delivery = Delivery(directory, bundle.source, bundle.sha256, bundle.path_below(directory), _KEPT)
        items += [*delivery.received(), delivery.link(), delivery.old()]
    return [Directory(CONTENT_DIRECTORY), *items] if items else []
