"""Rules about what runs on the machines and around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioning.settings.keepalived import KeepalivedSettings
    from stacks.virtual_ip import DnsSettings, DomainsSettings, VirtualIpSettings


def two_masters_share_two_addresses(keepalived: KeepalivedSettings, virtual_ip: VirtualIpSettings) -> Iterator[Problem]:
    two = virtual_ip.second_address is not None
    if keepalived.mode == "dual-master" and not two:
        yield Problem("tandem:virtualIp.secondAddress", "is missing; keepalived.mode dual-master needs two addresses")
    if keepalived.mode != "dual-master" and two:
        yield Problem(
            "tandem:virtualIp.secondAddress",
            f"{virtual_ip.second_address} would have no master: keepalived.mode is {keepalived.mode}, not dual-master",
        )


def the_two_services_have_names_of_their_own(domains: DomainsSettings) -> Iterator[Problem]:
    if domains.api == domains.authz:
        yield Problem("tandem:domains.authz", f"{domains.authz} is the name of the other service too")


def records_are_made_in_the_zone_of_the_domains(domains: DomainsSettings, dns: DnsSettings) -> Iterator[Problem]:
    if dns.zone is None:
        return
    for key, domain in (("api", domains.api), ("authz", domains.authz)):
        if domain != dns.zone and not domain.endswith(f".{dns.zone}"):
            yield Problem(f"tandem:domains.{key}", f"{domain} is not in the DNS zone {dns.zone} (tandem:dns.zone)")


RULES = (
    two_masters_share_two_addresses,
    the_two_services_have_names_of_their_own,
    records_are_made_in_the_zone_of_the_domains,
)
