"""`tandem:access`: SSH access to the nodes."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from settings.base import Address, FrozenModel, Network

_PUBLIC_KEY = r"^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/=]+( .*)?$"


class BastionSettings(FrozenModel):
    """The SSH jump host, with `mode: bastion`."""

    address: Address = Field(
        default=IPv4Address("10.0.4.5"), description="Private address of the bastion. Must be inside the subnet."
    )
    type: str = Field(
        default="S5.SMALL2", pattern=r"^[A-Z][A-Z0-9]*\.[A-Z0-9]+$", description="Instance type of the bastion."
    )
    bandwidth_mbps: int = Field(default=5, ge=1, le=100, description="Bandwidth limit of the bastion's public address.")


class AccessSettings(FrozenModel):
    """SSH is accepted only from the administrators' networks, and only with a public key."""

    admin_cidrs: tuple[Network, ...] = Field(
        min_length=1,
        description="Networks from which SSH is accepted: by the bastion, or by the nodes with `mode` `direct` or "
        "`public`. Must not be wider than a /8.",
    )
    mode: Literal["bastion", "direct", "public"] = Field(
        default="bastion",
        description="How SSH reaches the nodes: `bastion` (through a small instance with a public address), `direct` "
        "(at their private addresses, through a VPN or a peered network) or `public` (each node has a public address).",
    )
    public_keys: tuple[Annotated[str, Field(pattern=_PUBLIC_KEY)], ...] = Field(
        default=(),
        description="Public keys that may log in to the nodes and the bastion, one line each, in addition to the "
        "deployment key. `up` adds new ones, and removes those that are no longer listed.",
    )
    public_bandwidth_mbps: int = Field(
        default=5, ge=1, le=100, description="Bandwidth limit of each node's public address, with `mode: public`."
    )
    bastion: BastionSettings = Field(default=BastionSettings(), description="The bastion, with `mode: bastion`.")
