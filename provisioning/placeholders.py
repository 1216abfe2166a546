"""Values that no rendered file may hold: certificates, keys and passwords travel apart from the text.

A file's text says `@@secret:NAME@@`; the value takes its place on the operator's side just before sending.
So manifests can be stored, compared and shown in a preview, and no secret with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from provisioning.errors import ProvisioningError

CA_CERTIFICATE = "ca_certificate"  # of our own CA, which signed the nodes' certificates
SERVER_CERTIFICATE = "server_certificate"  # nginx's, with its chain; its names are the domains
SERVER_PRIVATE_KEY = "server_private_key"
MARIADB_IAM_PASSWORD = "mariadb_iam_password"  # noqa: S105 - the name of a secret
REDIS_PASSWORD = "redis_password"  # noqa: S105 - the name of a secret
MONGODB_PASSWORD = "mongodb_password"  # noqa: S105 - as it stands in a URL: percent-encoded
JWT_KEY = "jwt_key"
IAM_ADMIN_PASSWORD = "iam_admin_password"  # noqa: S105 - the name of a secret
IAM_ADMIN_PASSWORD_HASH = "iam_admin_password_hash"  # noqa: S105 - bcrypt, prefix $2a$ or $2b$: the database gets no more
DATA_DISK_ID = "data_disk_id"  # no secret, but known to the cloud alone: disk-xxxxxxxx
VRRP_PASSWORD = "vrrp_password"  # noqa: S105 - VRRPv2 PASS, 8 characters

_PLACEHOLDER = re.compile(r"@@secret:([A-Za-z0-9_.-]+)@@")


def node_certificate(node: str) -> str:
    """The name of one node's certificate (HTTPS and gRPC of the IAM services), signed by our CA."""
    return f"node_certificate.{node}"


def node_private_key(node: str) -> str:
    return f"node_private_key.{node}"


def placeholder(name: str) -> str:
    """What stands in a rendered text instead of the secret of that name."""
    return f"@@secret:{name}@@"


def find_names(text: str) -> frozenset[str]:
    """The names of all secrets that a text waits for."""
    return frozenset(_PLACEHOLDER.findall(text))


def substitute(text: str, secrets: Mapping[str, str], where: str) -> str:
    """The text with each secret in its place. Raises ProvisioningError for a name that nobody gave."""
    missing = sorted(find_names(text) - secrets.keys())
    if missing:
        raise ProvisioningError(
            f"{where}: no value was given for the secret {missing[0]}",
            seen=f"given are: {', '.join(sorted(secrets)) or 'none'}",
            look_at="components/credentials.py",
        )
    return _PLACEHOLDER.sub(lambda found: secrets[found[1]], text)
