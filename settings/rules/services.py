"""Rules about what runs on the nodes and around them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address
from urllib.parse import urlsplit

from settings.access import AccessSettings
from settings.alarms import AlarmsSettings
from settings.credentials import CredentialsSettings
from settings.data import DataSettings
from settings.domains import DnsSettings, DomainsSettings
from settings.keepalived import KeepalivedSettings
from settings.network import NetworkSettings
from settings.nodes import NodesSettings
from settings.problems import Problem
from settings.rules.certificates import find_faults
from settings.virtual_ip import VirtualIpSettings

# User data has 16 KiB (document 213/15730), counted in base64 to be safe, so 12 before it: 3 are for all but these keys
# (2.1 KB with the deployment key of 4096 bits).
_MOST_KEY_BYTES = 9 * 1024
_BYTES_AROUND_A_KEY = 6  # comma, line break and indentation, as provisioning.first_boot writes it
_RESERVED_TAGS = ("qcs", "qcloud", "tencent", "project", "项目")
_OWN_TAGS = frozenset({"pulumi-project", "pulumi-stack", "managed-by", "node"})
# ModifyResourceTags takes 10 in one request (document 651/35322), and the provider changes all of a resource's at once.
_MOST_TAGS = 10 - len(_OWN_TAGS)


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


def alarms_reach_somebody(alarms: AlarmsSettings, nodes: NodesSettings) -> Iterator[Problem]:
    if not alarms.enabled:
        return
    receivers = alarms.receivers
    if not (receivers.user_ids or receivers.group_ids or receivers.urls):
        yield Problem("tandem:alarms.receivers", "is empty; give userIds, groupIds or urls, or an alarm wakes nobody")
    if not nodes.monitoring_agent:
        yield Problem(
            "tandem:nodes.monitoringAgent",
            "is off; only this agent sees memory and disk (tandem:alarms)",
        )


def an_external_database_has_its_passwords(data: DataSettings, credentials: CredentialsSettings) -> Iterator[Problem]:
    if not data.outside_group:
        return
    given = credentials.given
    needed = {"mariadbPassword": given.mariadb_password, "redisPassword": given.redis_password}
    if data.mongodb is not None:
        needed["mongodbPassword"] = given.mongodb_password
    for key, value in needed.items():
        if value is None:
            yield Problem(
                f"tandem:credentials.given.{key}",
                f"is missing; data.location is {data.location}, so only you know it "
                f"(pulumi config set --secret --path tandem:credentials.given.{key})",
            )


def secrets_are_kept_encrypted(credentials: CredentialsSettings, secret: frozenset[str]) -> Iterator[Problem]:
    if "credentials" in secret:
        return
    given = credentials.given
    shown = {
        "given.mariadbPassword": given.mariadb_password,
        "given.redisPassword": given.redis_password,
        "given.mongodbPassword": given.mongodb_password,
        "given.jwtKey": given.jwt_key,
        "server.privateKey": credentials.server.private_key if credentials.server else None,
    }
    for key, value in shown.items():
        if value is not None:
            yield Problem(
                f"tandem:credentials.{key}",
                "stands in the file in clear; make it anew, then "
                f"`pulumi config set --secret --path tandem:credentials.{key}`",
            )


def certificates_are_renewed_within_their_life(credentials: CredentialsSettings) -> Iterator[Problem]:
    if credentials.early_renewal_hours >= credentials.validity_hours:
        yield Problem(
            "tandem:credentials.earlyRenewalHours",
            f"{credentials.early_renewal_hours} is not below validityHours {credentials.validity_hours}: "
            "every `up` would make new certificates",
        )
    if credentials.ca_validity_hours < credentials.validity_hours:
        yield Problem(
            "tandem:credentials.caValidityHours",
            f"{credentials.ca_validity_hours} is below validityHours {credentials.validity_hours}: "
            "a certificate would outlive the CA that vouches for it",
        )


def a_given_certificate_is_for_both_domains(
    credentials: CredentialsSettings, domains: DomainsSettings
) -> Iterator[Problem]:
    if credentials.server is not None:
        for key, text in find_faults(credentials.server, (domains.api, domains.authz)):
            yield Problem(f"tandem:credentials.server.{key}", text)


def nodes_can_reach_whom_they_tell(keepalived: KeepalivedSettings, network: NetworkSettings) -> Iterator[Problem]:
    if network.egress != "none" or network.existing is not None:
        # An existing network has routes that we do not know.
        return
    for index, url in enumerate(keepalived.notify_urls):
        host = urlsplit(url).hostname or ""
        if not _is_inside(host, network.vpc_cidr):
            yield Problem(
                f"tandem:keepalived.notifyUrls[{index}]",
                f"{host} is outside the VPC, and network.egress none leads nowhere; give an address in "
                f"{network.vpc_cidr}, or set network.egress nat",
            )


def _is_inside(host: str, network: IPv4Network) -> bool:
    try:
        return ip_address(host) in network
    except ValueError:
        # Names are only answered outside of the VPC.
        return False


def keys_fit_into_user_data(access: AccessSettings) -> Iterator[Problem]:
    # As user data has them: what is no ASCII (a comment in Chinese) takes six bytes a letter.
    size = sum(len(json.dumps(key)) + _BYTES_AROUND_A_KEY for key in access.public_keys)
    if size > _MOST_KEY_BYTES:
        yield Problem(
            "tandem:access.publicKeys",
            f"have {size} bytes, and {_MOST_KEY_BYTES} fit into user data; use ed25519 keys, or fewer",
        )


def tags_keep_clear_of_the_reserved_ones(tags: dict[str, str]) -> Iterator[Problem]:
    for key in tags:
        if key.lower().startswith(_RESERVED_TAGS) or key in _OWN_TAGS:
            yield Problem(
                f"tandem:tags.{key}", "is reserved by the cloud (qcs, qcloud, tencent, project) or by this program"
            )
    if len(tags) > _MOST_TAGS:
        yield Problem("tandem:tags", f"has {len(tags)}; one request takes 10, {len(_OWN_TAGS)} of them are taken")


RULES = (
    keys_fit_into_user_data,
    nodes_can_reach_whom_they_tell,
    alarms_reach_somebody,
    an_external_database_has_its_passwords,
    secrets_are_kept_encrypted,
    certificates_are_renewed_within_their_life,
    a_given_certificate_is_for_both_domains,
    tags_keep_clear_of_the_reserved_ones,
    two_masters_share_two_addresses,
    the_two_services_have_names_of_their_own,
    records_are_made_in_the_zone_of_the_domains,
)
