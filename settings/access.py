"""`tandem:access`: who reaches the nodes by SSH, and which way."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from settings.base import Address, FrozenModel, Network

_PUBLIC_KEY = r"^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/=]+( .*)?$"


class BastionSettings(FrozenModel):
    """The small instance that SSH passes through, with `mode: bastion`."""

    address: Address = Field(default=IPv4Address("10.0.4.5"), description="Its private address, in the same subnet.")
    type: str = Field(default="S5.SMALL2", pattern=r"^[A-Z][A-Z0-9]*\.[A-Z0-9]+$", description="Its instance type.")
    bandwidth_mbps: int = Field(default=5, ge=1, le=100, description="Limit of its public address.")


class AccessSettings(FrozenModel):
    """SSH comes from the administrators' networks only, and by key only."""

    admin_cidrs: tuple[Network, ...] = Field(
        min_length=1,
        description="Networks that SSH may come from: to the bastion, or with `direct` and `public` to the "
        "nodes. Never 0.0.0.0/0.",
    )
    mode: Literal["bastion", "direct", "public"] = Field(
        default="bastion",
        description="`bastion`: through a small instance with a public address; `direct`: to the private addresses "
        "(a VPN or a peered network leads there); `public`: each node has a public address of its own.",
    )
    public_keys: tuple[Annotated[str, Field(pattern=_PUBLIC_KEY)], ...] = Field(
        default=(),
        description="Public keys of people, one line each, beside the deployment's own key. "
        "Later changes are ignored: they are written at the first boot.",
    )
    public_bandwidth_mbps: int = Field(
        default=5, ge=1, le=100, description="Limit of each node's public address, with `mode: public`."
    )
    bastion: BastionSettings = Field(default=BastionSettings(), description="The bastion, with `mode: bastion`.")
