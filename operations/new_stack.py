"""`tandem init`: the settings file of a new stack, with comments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

import yaml

from operations.errors import OperationError, UsageError
from operations.workspace import shorten

_STACK_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
_ACCESS_COMMENTS = {
    "bastion": "SSH reaches the nodes only through a small instance with a public address.",
    "public": "Every node has a public address for SSH.",
    "direct": "You reach the private addresses, for example through a VPN.",
}
_FIRST_HOST = 20  # of the nodes in the subnet; the bastion has 5 and the virtual IP 99, as in the other stacks


@dataclass(frozen=True, slots=True)
class Answers:
    """What a stack needs that has no default."""

    name: str
    region: str
    zone: str
    image: str
    instance_type: str
    subnet_cidr: IPv4Network
    nodes: tuple[str, ...]
    access: Literal["bastion", "public", "direct"]
    admin_cidrs: tuple[IPv4Network, ...]
    api_domain: str
    authz_domain: str


def make_answers(  # noqa: PLR0917 - one for each question
    name: str,
    region: str,
    zone: str,
    image: str,
    instance_type: str,
    subnet: str,
    nodes: Sequence[str],
    access: str,
    admin_cidrs: Sequence[str],
    domains: tuple[str, str],
) -> Answers:
    """Parse the answers. Raises UsageError that names each wrong answer."""
    wrong: list[str] = []
    if not _STACK_NAME.fullmatch(name):
        wrong.append(f"NAME must be lower-case letters, digits and hyphens, starting with a letter (got {name})")
    if access not in _ACCESS_COMMENTS:
        wrong.append(f"--access must be one of {', '.join(_ACCESS_COMMENTS)} (got {access})")
    networks = [_network(option, text, wrong) for option, text in [("--subnet", subnet), *(("--admin", each) for each in admin_cidrs)]]  # fmt: skip  # noqa: E501 - one expression
    if networks[0] is not None and networks[0].num_addresses < 128:  # noqa: PLR2004 - the virtual IP is host 99
        wrong.append(f"--subnet must have at least 128 addresses (got {subnet})")
    found = [each for each in networks if each is not None]
    if wrong or len(found) < len(networks):
        raise UsageError("\n  ".join(["the stack was not created:", *wrong]))
    return Answers(name, region, zone, image, instance_type, found[0], tuple(nodes), access, tuple(found[1:]), *domains)  # pyright: ignore[reportArgumentType] - `access` is one of the literals


def _network(option: str, text: str, wrong: list[str]) -> IPv4Network | None:
    try:
        return IPv4Network(text)
    except ValueError:
        wrong.append(f"{option} must be an IPv4 network such as 10.3.4.0/24 (got {text})")
        return None


def render(answers: Answers) -> str:
    """The text of the stack's file."""
    subnet = answers.subnet_cidr
    vpc = subnet if subnet.prefixlen <= 16 else subnet.supernet(new_prefix=16)  # noqa: PLR2004 - as in the other stacks
    members = [
        f"      - {{ name: {_scalar(name)}, address: {_host(subnet, _FIRST_HOST + number)} }}"
        for number, name in enumerate(answers.nodes)
    ]
    bastion = (
        [f"    bastion: {{ address: {_host(subnet, 5)}, type: S5.SMALL2 }}"] if answers.access == "bastion" else []
    )
    lines = [
        f"# Created by `tandem init {answers.name}`. docs/settings.md lists every key with its default.",
        "# `tandem config check` checks this file; `tandem doctor` checks the account and the operator's host.",
        "config:",
        f"  tencentcloud:region: {_scalar(answers.region)}",
        "  tandem:network:",
        "    # One zone: a subnet belongs to one zone, and a virtual IP to one subnet.",
        f"    zone: {_scalar(answers.zone)}",
        f"    vpcCidr: {vpc}",
        f"    subnetCidr: {subnet}",
        "    # To use an existing VPC, name it here and set its address ranges above.",
        "    # existing: { vpcId: vpc-YOURS, subnetId: subnet-YOURS }",
        "  tandem:nodes:",
        "    # Pinned: nodes keep the image that they were created with (docs/operations.md, Use a new image).",
        f"    image: {_scalar(answers.image)}",
        f"    type: {_scalar(answers.instance_type)}",
        "    # The first two are the eligible nodes; further ones are application nodes behind them.",
        "    members:",
        *members,
        "    # For production: a failed switch affects at most one node; the API refuses to terminate a node.",
        "    # placement: switch",
        "    # terminationProtection: true",
        "  tandem:access:",
        f"    # {_ACCESS_COMMENTS[answers.access]}",
        f"    mode: {answers.access}",
        "    # Administrators' networks. Yours must be among them: the rollout uses SSH.",
        f"    adminCidrs: [{', '.join(map(str, answers.admin_cidrs))}]",
        *bastion,
        "  tandem:virtualIp:",
        f"    address: {_host(subnet, 99)}",
        "    bandwidthMbps: 5",
        "  tandem:domains:",
        f"    api: {_scalar(answers.api_domain)}",
        f"    authz: {_scalar(answers.authz_domain)}",
        "  # Your release of the IAM services. Without it, the stand-in of samples/iam is deployed, for tests.",
        "  # tandem:iam: { release: releases/iam.tar.gz }",
        "  tandem:keepalived:",
        "    # Suits a real HAVIP, which may take 10 seconds to move.",
        "    profile: balanced",
        "  # For production: refuse to delete resources that hold data or addresses, and be told when something fails.",
        "  # tandem:protect: true",
        "  # tandem:alarms: { enabled: true, receivers: { groupIds: [10001], ways: [EMAIL] } }",
        "  tandem:tags:",
        f"    environment: {_scalar(answers.name)}",
    ]
    return "\n".join([*lines, ""])


def _scalar(text: str) -> str:
    """A text in YAML, quoted if YAML would parse it as another value, such as a number or a list."""
    return yaml.safe_dump([text], default_flow_style=True, width=len(text) + 10, allow_unicode=True).strip()[1:-1]


def _host(subnet: IPv4Network, number: int) -> IPv4Address:
    return subnet.network_address + number


def write(file: Path, text: str) -> None:
    """Write a new file. Raises OperationError if it exists."""
    try:
        with file.open("x") as opened:
            opened.write(text)
    except FileExistsError:
        raise OperationError(f"{shorten(str(file))} exists; remove it or choose another name") from None
