"""Placeholders for certificates, keys and passwords in rendered files.

A rendered text contains `@@secret:NAME@@`, or `@@secret:NAME as FORMAT@@` between the double quotes of a format, which
escapes the value. It is inserted on the operator's side just before it is sent.
Manifests can therefore be stored, compared and shown in a preview without exposing secrets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from provisioning.errors import ProvisioningError

CA_CERTIFICATE = "ca_certificate"  # of the deployment's CA, which signs the node certificates
IAM_HEALTH_PASSWORD = "iam_health_password"  # noqa: S105 - the name of a secret; of the account for health checks
IAM_HEALTH_PASSWORD_HASH = "iam_health_password_hash"  # noqa: S105 - the name of a secret; bcrypt
MARIADB_IAM_PASSWORD = "mariadb_iam_password"  # noqa: S105 - the name of a secret
MARIADB_ADMINISTRATOR_PASSWORD = "mariadb_administrator_password"  # noqa: S105 - the name of a secret
REDIS_PASSWORD = "redis_password"  # noqa: S105 - the name of a secret
MONGODB_PASSWORD = "mongodb_password"  # noqa: S105 - the name of a secret; percent-encoded for a URL
JWT_KEY = "jwt_key"
IAM_ADMIN_PASSWORD = "iam_admin_password"  # noqa: S105 - the name of a secret
IAM_ADMIN_PASSWORD_HASH = "iam_admin_password_hash"  # noqa: S105 - the name of a secret; bcrypt, prefix $2a$ or $2b$
DEPLOYMENT_PUBLIC_KEY = "deployment_public_key"  # not a secret, but known only after creation
DATA_DISK_ID = "data_disk_id"  # disk-xxxxxxxx: not a secret, but known only after creation
VRRP_PASSWORD = "vrrp_password"  # noqa: S105 - the name of a secret; VRRPv2 PASS, 8 characters
BACKUP_PRIVATE_KEY = "backup_private_key"  # of the data node, for SSH to the node that receives its backups
BACKUP_PUBLIC_KEY = "backup_public_key"
BUCKET_KEY_ID = "bucket_key_id"  # write-only access to the bucket for backups
BUCKET_KEY_SECRET = "bucket_key_secret"  # noqa: S105 - the name of a secret

Format = Literal["yaml", "environment", "json"]
_PLACEHOLDER = re.compile(r"@@secret:([A-Za-z0-9_.-]+)(?: as (yaml|environment|json))?@@")
_ESCAPED: dict[str, str] = {  # by Format
    "yaml": r"([\\\"])",  # a double-quoted scalar, https://yaml.org/spec/1.2.2/#731-double-quoted-style
    "json": r"([\\\"])",  # RFC 8259, 7: printable ASCII and line breaks need no more
    "environment": r"([\\\"`$])",  # an EnvironmentFile, systemd.exec(5)
}


def server_certificate(name: str) -> str:
    """The secret name of nginx's certificate, with its chain, for a site ("api", "given.NAME", "site.HOST")."""
    return f"server_certificate.{name}"


def server_private_key(name: str) -> str:
    return f"server_private_key.{name}"


def basic_auth(name: str) -> str:
    """The secret name of a list of users with hashes of their passwords, one a line."""
    return f"basic_auth.{name}"


def node_certificate(node: str) -> str:
    """The secret name of a node's certificate (HTTPS and gRPC of the IAM services), signed by the deployment's CA."""
    return f"node_certificate.{node}"


def node_private_key(node: str) -> str:
    return f"node_private_key.{node}"


def service_secret(service: str, name: str) -> str:
    """The name of a secret of tandem:services."""
    return f"service.{service}.{name}"


def host_key(node: str) -> str:
    """The name of a node's public SSH host key. The rollout knows it from its inventory."""
    return f"host_key.{node}"


def notification(setting: str) -> str:
    """The secret name of a setting of `tandem:notifications`, for example "webhooks[0].url"."""
    return "notification." + setting.replace("[", ".").replace("]", "")


def placeholder(name: str) -> str:
    """The text that represents the secret of that name in a rendered file."""
    return f"@@secret:{name}@@"


def escaped_placeholder(name: str, as_: Format) -> str:
    """The text that represents the secret between the double quotes of a format."""
    return f"@@secret:{name} as {as_}@@"


def escape(secret: str, as_: str) -> str:
    """Escape a secret for the double quotes of a format.

    Secrets are printable ASCII (settings/credentials.py); those of services, such as PEM keys, may contain line breaks
    (settings/services.py). An EnvironmentFile keeps these between double quotes.
    """
    escaped = re.sub(_ESCAPED[as_], r"\\\1", secret)
    return escaped if as_ == "environment" else escaped.replace("\n", r"\n")


def find_names(text: str) -> frozenset[str]:
    """The names of all secrets that a text refers to."""
    return frozenset(name for name, _format in _PLACEHOLDER.findall(text))


def substitute(text: str, secrets: Mapping[str, str], where: str) -> str:
    """Replace each placeholder by its secret. Raises ProvisioningError if one has no value."""
    missing = sorted(find_names(text) - secrets.keys())
    if missing:
        raise ProvisioningError(
            f"{where}: the secret {missing[0]} has no value",
            seen=f"known secrets: {', '.join(sorted(secrets)) or 'none'}",
            look_at="components/credentials.py",
        )
    return _PLACEHOLDER.sub(
        lambda found: escape(secrets[found[1]], found[2]) if found[2] else secrets[found[1]],
        text,
    )
