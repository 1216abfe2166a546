"""`tandem:access`: who reaches the nodes by SSH, and which way."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from settings.base import Address, FrozenModel, Network

_PUBLIC_KEY = r"^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/=]+( .*)?$"


class BastionSettings(FrozenModel):
    """The small instance that SSH passes through, with `mode: bastion`."""

    address: Annotated[Address, Field(description="Its private address, in the same subnet.")] = IPv4Address("10.0.4.5")
    type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]*\.[A-Z0-9]+$", description="Its instance type.")] = "S5.SMALL2"
    bandwidth_mbps: Annotated[int, Field(ge=1, le=100, description="Limit of its public address.")] = 5


class AccessSettings(FrozenModel):
    """SSH comes from the administrators' networks only, and by key only."""

    admin_cidrs: Annotated[
        tuple[Network, ...],
        Field(
            min_length=1,
            description="Networks that SSH may come from: to the bastion, or with `direct` and `public` to the "
            "nodes. Never 0.0.0.0/0.",
        ),
    ]
    mode: Annotated[
        Literal["bastion", "direct", "public"],
        Field(
            description="`bastion`: through a small instance with a public address; `direct`: to the private addresses "
            "(a VPN or a peered network leads there); `public`: each node has a public address of its own."
        ),
    ] = "bastion"
    public_keys: Annotated[
        tuple[Annotated[str, Field(pattern=_PUBLIC_KEY)], ...],
        Field(
            description="Public keys of people, one line each, beside the deployment's own key. "
            "Later changes are ignored: they are written at the first boot.",
        ),
    ] = ()
    public_bandwidth_mbps: Annotated[
        int, Field(ge=1, le=100, description="Limit of each node's public address, with `mode: public`.")
    ] = 5
    bastion: Annotated[BastionSettings, Field(description="The bastion, with `mode: bastion`.")] = BastionSettings()
