"""DNS records for the public addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from tencentcloud_iac_pulumi import dnspod

from components.virtual_ip import VirtualIp
from settings.domains import DnsSettings


@dataclass(frozen=True, slots=True)
class DnsArgs:
    settings: DnsSettings
    names: Mapping[str, str]  # host names in the zone, by the part of a resource name that identifies them
    virtual_ips: Sequence[VirtualIp]


class Dns(pulumi.ComponentResource):
    """One A record for each domain and public address."""

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tandem:cloud:Dns", name, None, opts)
        zone = args.settings.zone
        for key, domain in args.names.items() if zone else ():
            for number, virtual_ip in enumerate(args.virtual_ips, start=1):
                dnspod.Record(
                    f"{name}-{key}-{number}",
                    domain=zone,
                    sub_domain=sub_domain(domain, zone or ""),
                    record_type="A",
                    record_line=args.settings.line,
                    value=virtual_ip.public_ip,
                    ttl=args.settings.ttl_s,
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({})


def sub_domain(domain: str, zone: str) -> str:
    """Return the part of the domain before the zone's name; "@" for the zone itself."""
    return domain.removesuffix(zone).rstrip(".") or "@"
