"""Rules about services, credentials, alarms and tags."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from settings.access import AccessSettings
from settings.alarms import AlarmsSettings
from settings.base import crosses_the_internet_unencrypted
from settings.credentials import CredentialsSettings, SecretName
from settings.data import DataSettings
from settings.domains import DnsSettings, DomainsSettings
from settings.iam import IamSettings
from settings.network import NetworkSettings
from settings.nodes import NodesSettings
from settings.notifications import NotificationsSettings
from settings.problems import Problem
from settings.rules.certificates import find_problems

# User data is limited to 16 KiB (document 213/15730). If this limit applies to the base64 text, 12 KiB remain, and
# 3 KiB of these are reserved for everything except the keys (2.1 KB with the deployment key of 4096 bits).
_MAX_KEY_BYTES = 9 * 1024
_BYTES_AROUND_A_KEY = 6  # comma, line break and indentation, as written by provisioning.first_boot
_RESERVED_TAGS = ("qcs", "qcloud", "tencent", "project", "项目")
_OWN_TAGS = frozenset({"pulumi-project", "pulumi-stack", "managed-by", "node"})
# Of databases outside the group; both secrets must be valid until all nodes have changed.
_ROTATE_OUTSIDE = " (first create a second account or password in your database, then give it here)"
_OR_ADMINISTRATOR = ", or set tandem:data.administrator, which creates the accounts"
# ModifyResourceTags accepts 10 tags per request (document 651/35322), and the provider sends all tags of a resource.
_MAX_TAGS = 10 - len(_OWN_TAGS)


def check_domains_differ(domains: DomainsSettings) -> Iterator[Problem]:
    if domains.api == domains.authz:
        yield Problem("tandem:domains.authz", f"must differ from domains.api (got {domains.authz} for both)")


def check_iam_settings_are_used(iam: IamSettings, domains: DomainsSettings) -> Iterator[Problem]:
    if not iam.enabled:
        yield Problem(
            "tandem:domains",
            f"cannot be set with iam.enabled false: {domains.api} and {domains.authz} are names of the IAM services; "
            "give names to sites in nginx.sites instead",
        )


def check_domains_are_in_zone(domains: DomainsSettings, dns: DnsSettings) -> Iterator[Problem]:
    if dns.zone is None:
        return
    for key, domain in (("api", domains.api), ("authz", domains.authz)):
        if domain != dns.zone and not domain.endswith(f".{dns.zone}"):
            yield Problem(
                f"tandem:domains.{key}", f"must be in the DNS zone {dns.zone} of tandem:dns.zone (got {domain})"
            )


def check_alarms(alarms: AlarmsSettings, nodes: NodesSettings) -> Iterator[Problem]:
    if not alarms.enabled:
        return
    receivers = alarms.receivers
    if not (receivers.user_ids or receivers.group_ids or receivers.urls):
        yield Problem("tandem:alarms.receivers", "must contain userIds, groupIds or urls with alarms.enabled true")
    if not nodes.monitoring_agent:
        yield Problem(
            "tandem:nodes.monitoringAgent",
            "must be true with alarms.enabled true: memory and disk alarms require the agent (got false)",
        )


def check_external_databases_have_passwords(
    data: DataSettings, credentials: CredentialsSettings, iam: IamSettings
) -> Iterator[Problem]:
    if not iam.enabled:
        return
    given = credentials.given
    required: dict[str, SecretStr | None] = {}
    if data.outside_group:
        required["redisPassword"] = given.redis_password
        if data.administrator is None:
            required["mariadbPassword"] = given.mariadb_password
        else:
            required["mariadbAdministratorPassword"] = given.mariadb_administrator_password
    if data.mongodb is not None:
        required["mongodbPassword"] = given.mongodb_password
    for key, value in required.items():
        if value is None:
            yield Problem(
                f"tandem:credentials.given.{key}",
                f"is required with {'data.mongodb' if key == 'mongodbPassword' else f'data.location {data.location}'}; "
                f"run `pulumi config set --secret --stack STACK --path tandem:credentials.given.{key}`",
            )


def check_bucket_has_a_key(data: DataSettings, credentials: CredentialsSettings) -> Iterator[Problem]:
    bucket, given = data.backup.bucket, credentials.given
    for key, value in {"bucketKeyId": given.bucket_key_id, "bucketKeySecret": given.bucket_key_secret}.items():
        name = f"tandem:credentials.given.{key}"
        if bucket is not None and bucket.role is None and value is None:
            yield Problem(
                name,
                "is required with data.backup.bucket unless its role is set; run "
                f"`pulumi config set --secret --stack STACK --path {name}`",
            )
        if bucket is not None and bucket.role is not None and value is not None:
            yield Problem(name, f"cannot be set with data.backup.bucket.role {bucket.role}; remove one of them")


def check_bucket_is_reached_privately(data: DataSettings, region: str) -> Iterator[Problem]:
    bucket = data.backup.bucket
    # Assumed: inside a VPC the name of COS in the same region resolves to a private address. No page was found.
    if bucket is None or urlsplit(bucket.endpoint).hostname == f"cos.{region}.myqcloud.com":
        return
    if crosses_the_internet_unencrypted(bucket.endpoint):
        yield Problem(
            "tandem:data.backup.bucket.endpoint",
            f"must be an https URL (got {bucket.endpoint}): over http, anyone on the path can read the databases; "
            f"http is accepted only for cos.{region}.myqcloud.com, a private IPv4 address, a name without a dot, "
            ".internal and .local",
        )


def check_secrets_are_encrypted(
    credentials: CredentialsSettings, encrypted_sections: frozenset[str]
) -> Iterator[Problem]:
    if "credentials" in encrypted_sections:
        return
    given = credentials.given
    secrets = {
        "given.mariadbPassword": given.mariadb_password,
        "given.mariadbAdministratorPassword": given.mariadb_administrator_password,
        "given.redisPassword": given.redis_password,
        "given.mongodbPassword": given.mongodb_password,
        "given.bucketKeyId": given.bucket_key_id,
        "given.bucketKeySecret": given.bucket_key_secret,
        "given.jwtKey": given.jwt_key,
        "server.privateKey": credentials.server.private_key,
        "server.api.privateKey": credentials.server.api and credentials.server.api.private_key,
        "server.authz.privateKey": credentials.server.authz and credentials.server.authz.private_key,
        **{f"certificates.{name}.privateKey": each.private_key for name, each in credentials.certificates.items()},
        **{
            f"basicAuth.{name}.{user}": password_hash
            for name, users in credentials.basic_auth.items()
            for user, password_hash in users.items()
        },
    }
    for key, value in secrets.items():
        if value is not None:
            yield Problem(
                f"tandem:credentials.{key}",
                "must be encrypted (got plain text); replace the secret and run "
                f"`pulumi config set --secret --stack STACK --path tandem:credentials.{key}`",
            )


def check_generations_of_given_secrets(data: DataSettings, credentials: CredentialsSettings) -> Iterator[Problem]:
    """A given secret is not generated, so its generation has no effect."""
    given = credentials.given
    values: dict[SecretName, SecretStr | None] = {
        "redisPassword": given.redis_password, "jwtKey": given.jwt_key,
    }  # fmt: skip
    if data.outside_group and data.administrator is None:
        values["mariadbPassword"] = given.mariadb_password
    for name, value in values.items():
        if value is not None and credentials.generation.get(name, 1) > 1:
            yield Problem(
                f"tandem:credentials.generation.{name}",
                f"cannot be set with credentials.given.{name}: the given secret is used (got "
                f"{credentials.generation[name]}); remove the generation and change the given secret instead"
                + (_ROTATE_OUTSIDE if data.outside_group and name != "jwtKey" else "")
                + (_OR_ADMINISTRATOR if name == "mariadbPassword" else ""),
            )


def check_validity_periods(credentials: CredentialsSettings) -> Iterator[Problem]:
    validity = credentials.validity_hours
    if credentials.early_renewal_hours >= validity:
        yield Problem(
            "tandem:credentials.earlyRenewalHours",
            f"must be less than validityHours {validity} (got {credentials.early_renewal_hours}); "
            "otherwise every `up` renews the certificates",
        )
    if credentials.ca_validity_hours < validity:
        yield Problem(
            "tandem:credentials.caValidityHours",
            f"must be at least validityHours {validity} (got {credentials.ca_validity_hours}); "
            "otherwise certificates expire after their CA",
        )


def check_given_certificate(credentials: CredentialsSettings, domains: DomainsSettings) -> Iterator[Problem]:
    server, names = credentials.server, {"api": domains.api, "authz": domains.authz}
    own = {"api": server.api, "authz": server.authz}
    if (shared := server.shared()) is not None:
        covered = [domain for name, domain in names.items() if own[name] is None]
        for key, text in find_problems(shared, covered):
            yield Problem(f"tandem:credentials.server.{key}", text)
    for name, given in own.items():
        if given is not None:
            for key, text in find_problems(given, (names[name],)):
                yield Problem(f"tandem:credentials.server.{name}.{key}", text)


def check_notification_receivers_are_reachable(
    notifications: NotificationsSettings, network: NetworkSettings
) -> Iterator[Problem]:
    if network.egress != "none" or network.existing is not None:
        # The routes of an existing network are unknown.
        return
    for key, host in notifications.hosts().items():
        if not _is_inside(host, network.vpc_cidr):
            yield Problem(
                f"tandem:notifications.{key}",
                f"must be an address inside the VPC's {network.vpc_cidr} with network.egress none (got {host}); "
                "use such an address or set network.egress nat",
            )


def check_notification_secrets_are_encrypted(
    notifications: NotificationsSettings, encrypted_sections: frozenset[str]
) -> Iterator[Problem]:
    if "notifications" in encrypted_sections:
        return
    for key in notifications.secrets():
        yield Problem(
            f"tandem:notifications.{key}",
            "must be encrypted (got plain text); replace the secret and run "
            f"`pulumi config set --secret --stack STACK --path 'tandem:notifications.{key}'`",
        )


def _is_inside(host: str, network: IPv4Network) -> bool:
    try:
        return ip_address(host) in network
    except ValueError:
        # A host name, which cannot be resolved inside the VPC.
        return False


def check_keys_fit_into_user_data(access: AccessSettings) -> Iterator[Problem]:
    # Counted as in the user data, where JSON escapes non-ASCII characters (in comments) with six bytes each.
    size = sum(len(json.dumps(key)) + _BYTES_AROUND_A_KEY for key in access.public_keys)
    if size > _MAX_KEY_BYTES:
        yield Problem(
            "tandem:access.publicKeys",
            f"must have at most {_MAX_KEY_BYTES} bytes to fit into user data (got {size}); "
            "use fewer keys or ed25519 keys",
        )


def check_tags(tags: dict[str, str]) -> Iterator[Problem]:
    for key in tags:
        if key.lower().startswith(_RESERVED_TAGS) or key in _OWN_TAGS:
            yield Problem(
                f"tandem:tags.{key}",
                "cannot be set: the key is reserved by the cloud (qcs, qcloud, tencent, project) or by this program",
            )
    if len(tags) > _MAX_TAGS:
        yield Problem(
            "tandem:tags",
            f"must contain at most {_MAX_TAGS} tags (got {len(tags)}): the API accepts 10 per request, including "
            f"{len(_OWN_TAGS)} of this program",
        )


RULES = (
    check_keys_fit_into_user_data,
    check_notification_receivers_are_reachable,
    check_notification_secrets_are_encrypted,
    check_alarms,
    check_external_databases_have_passwords,
    check_bucket_has_a_key,
    check_bucket_is_reached_privately,
    check_secrets_are_encrypted,
    check_generations_of_given_secrets,
    check_validity_periods,
    check_given_certificate,
    check_tags,
    check_domains_differ,
    check_iam_settings_are_used,
    check_domains_are_in_zone,
)
