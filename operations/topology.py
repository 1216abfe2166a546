"""The topology of a deployment as a picture (SVG): from its settings for README, from its state for the report.

python -m operations.topology >docs/topology.svg
"""

from __future__ import annotations

import html
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from operations.workspace import PROJECT_ROOT
from provisioning.deployment import make_deployment
from provisioning.health.checks import Group
from provisioning.kinds.unit import Unit
from provisioning.manifest_rendering import render
from settings.check import check_file
from settings.sections import Settings

_BOX_WIDTH, _LINE, _GAP, _MARGIN = 210, 16, 60, 20
_HIDDEN = ("tandem-", "iam-refresh", "logrotate", "ssh")  # units that a reader does not look for
_STYLE = (
    "text{font:12px ui-monospace,monospace;fill:#1b1f24}.b{font-weight:bold}.s{fill:#57606a}"
    "rect{rx:6;stroke:#57606a;fill:#f6f8fa}.m{fill:#ddf4e4;stroke:#1a7f37}.n{fill:none;stroke-dasharray:5 4}"
    "line{stroke:#57606a;marker-end:url(#a)}.v{stroke:#1a7f37;stroke-width:2}.p{stroke-dasharray:4 3;marker-end:none}"
)


@dataclass(frozen=True, slots=True)
class NodeBox:
    name: str
    address: str
    services: tuple[str, ...]
    eligible: bool
    held: tuple[int, ...] = ()  # the entries (below) whose virtual IP the node holds


@dataclass(frozen=True, slots=True)
class Topology:
    title: str
    entries: tuple[tuple[str, str], ...]  # public IP and virtual IP
    nodes: tuple[NodeBox, ...]
    network: str  # "VPC 10.0.0.0/16, subnet 10.0.4.0/24, ap-guangzhou-6"


def from_settings(settings: Settings) -> Topology:
    """What the program would deploy; public addresses are not known yet."""
    deployment = make_deployment(settings, f"{settings.project}-{settings.stack}")
    manifests = render(deployment)
    # Each virtual IP is at its preferred node.
    nodes = tuple(
        NodeBox(
            node.name, node.private_address, _services(manifests[node.name].items), node.eligible,
            (number,) if number < len(deployment.virtual_ips) else (),
        )
        for number, node in enumerate(deployment.nodes)
    )  # fmt: skip
    network = settings.network
    return Topology(
        f"stack {settings.stack}",
        tuple(("EIP", f"HAVIP {address}") for address in deployment.virtual_ips),
        nodes,
        f"VPC {network.vpc_cidr}, subnet {network.subnet_cidr}, {network.zone}",
    )


def from_group(group: Group, stack: str, held: Mapping[str, Collection[str]]) -> Topology:
    """What is deployed. `held` are the virtual IPs that each node holds."""
    public = [address.ip for address in group.public.addresses]
    return Topology(
        f"stack {stack}",
        tuple(
            (f"EIP {ip}", f"HAVIP {address}") for ip, address in zip(public, group.inventory.virtual_ips, strict=False)
        ),
        tuple(
            NodeBox(
                node.name, node.private_address, _services(group.items.get(node.name, ())), node.eligible,
                tuple(
                    number
                    for number, address in enumerate(group.inventory.virtual_ips)
                    if address in held.get(node.name, ())
                ),
            )
            for node in group.inventory.nodes
        ),
        f"group {group.inventory.group}",
    )  # fmt: skip


def _services(items: Sequence[object]) -> tuple[str, ...]:
    names = [item.name for item in items if isinstance(item, Unit)]
    return tuple(dict.fromkeys(name for name in names if not name.startswith(_HIDDEN) and "." not in name))


def draw(topology: Topology) -> str:
    """Return the picture. Deterministic, so that a test can compare it."""
    lines = max((len(node.services) for node in topology.nodes), default=0) + 2
    box_height = (lines + 1) * _LINE
    columns = max(len(topology.nodes), len(topology.entries), 2)
    width = 2 * _MARGIN + columns * _BOX_WIDTH + (columns - 1) * _GAP + 2 * _GAP
    top = 190
    height = top + box_height + 3 * _MARGIN
    body = [
        _text(width / 2, 24, f"clients: {topology.title}", "b", "middle"),
        *_entries(topology, width),
        f'<rect class="n" x="{_MARGIN}" y="{top - 44}" width="{width - 2 * _MARGIN}" height="{box_height + 74}"/>',
        _text(_MARGIN + 10, top + box_height + 22, topology.network, "s"),
        *_nodes(topology, top, box_height),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"<style>{_STYLE}</style><defs>"
        '<marker id="a" markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto">'
        '<path d="M0 0L7 3L0 6z" fill="#57606a"/></marker></defs>'
        f'<rect width="{width}" height="{height}" style="fill:#fff;stroke:none"/>'
    )
    return "\n".join([head, *body, "</svg>", ""])


def _x(number: int) -> int:
    return _MARGIN + _GAP + number * (_BOX_WIDTH + _GAP)


def _entries(topology: Topology, width: int) -> Iterator[str]:
    """Each public IP above its virtual IP, and an arrow to each node that holds it."""
    for number, (public, virtual) in enumerate(topology.entries):
        centre = width / 2 + (number - (len(topology.entries) - 1) / 2) * (_BOX_WIDTH + _GAP)
        yield f'<line x1="{centre:g}" y1="30" x2="{centre:g}" y2="46"/>'
        yield f'<rect x="{centre - _BOX_WIDTH / 2:g}" y="48" width="{_BOX_WIDTH}" height="46"/>'
        yield _text(centre, 67, public, "b", "middle")
        yield _text(centre, 85, virtual, "", "middle")
        for column in (column for column, node in enumerate(topology.nodes) if number in node.held):
            target = _x(column) + _BOX_WIDTH / 2
            yield f'<line class="v" x1="{centre:g}" y1="94" x2="{target:g}" y2="188"/>'


def _nodes(topology: Topology, top: int, box_height: int) -> Iterator[str]:
    eligible = [number for number, node in enumerate(topology.nodes) if node.eligible]
    for left, right in pairwise(eligible):
        y = top + 1.5 * _LINE
        yield f'<line class="p" x1="{_x(left) + _BOX_WIDTH}" y1="{y:g}" x2="{_x(right)}" y2="{y:g}"/>'
        yield _text(_x(right) - _GAP / 2, y - 6, "VRRP", "s", "middle")
    for number, node in enumerate(topology.nodes):
        x = _x(number)
        role = "master" if node.held else "backup" if node.eligible else "application node"
        kind = "m" if node.held else ""
        yield f'<rect class="{kind}" x="{x}" y="{top}" width="{_BOX_WIDTH}" height="{box_height}"/>'
        yield _text(x + 10, top + 1.3 * _LINE, f"{node.name}  {node.address}", "b")
        yield _text(x + 10, top + 2.3 * _LINE, role, "s")
        for line, service in enumerate(node.services):
            yield _text(x + 10, top + (line + 3.3) * _LINE, service)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{html.escape(text)}</text>'


def main() -> None:
    """Print the picture of the stack `local`, for README."""
    settings = check_file(PROJECT_ROOT / "stacks" / "Pulumi.local.yaml").settings
    assert settings is not None
    sys.stdout.write(draw(from_settings(settings)))


if __name__ == "__main__":
    main()
