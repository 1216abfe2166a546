"""Names and tags of resources. All contain project and stack, so two stacks in one account never conflict."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

# ImportKeyPair accepts only letters, digits and underscores (checked by the provider before the request).
_MAX_KEY_NAME = 25
# The smallest limit of VPC, subnet, security group, route table, NAT gateway, HAVIP, placement group, disk, alarm
# policy and notice.
_MAX_NAME = 60
# Names in a certificate's subject (RFC 5280, appendix A.1: ub-common-name, ub-organization-name).
_MAX_SUBJECT = 64
# Parts of the resource names of other keys (certificates.py, credentials.py), which are names that a node can have.
_OTHER_KEYS = re.compile(r"backup|ca|deployment|server|.*-host|(site|stream)-.*")


@dataclass(frozen=True, slots=True)
class Labels:
    """Builds the names and tags of one stack."""

    project: str
    stack: str
    extra_tags: Mapping[str, str]

    @property
    def group(self) -> str:
        """The name of the group of nodes, for example "tandem-local"."""
        return f"{self.project}-{self.stack}"

    @property
    def tags(self) -> dict[str, str]:
        # The key "project" is reserved by the cloud.
        return {**self.extra_tags, "pulumi-project": self.project, "pulumi-stack": self.stack, "managed-by": "pulumi"}

    def name(self, resource: str) -> str:
        """Return the name of a cloud resource, for example "tandem-local-vpc"."""
        full_name = f"{self.group}-{resource}"
        # The name of a stack can contain dots, the name of a public address cannot (ModifyAddressAttribute).
        return _shortened(re.sub(r"[^A-Za-z0-9_-]+", "-", full_name), _MAX_NAME, "-", full_name)

    def key_name(self, resource: str) -> str:
        """Return the name of a key pair, for example "tandem_local_deploy"."""
        full_name = f"{self.project}_{self.stack}_{resource}"
        return _shortened(re.sub(r"[^A-Za-z0-9]+", "_", full_name), _MAX_KEY_NAME, "_", full_name)

    def subject(self, text: str) -> str:
        """Return a name for the subject of a certificate."""
        return _shortened(text, _MAX_SUBJECT, " ", text)


def _shortened(name: str, max_length: int, separator: str, full_name: str) -> str:
    """Shorten a name. If it differs from the full name, append a digest of the full name to keep names distinct."""
    if name == full_name and len(name) <= max_length:
        return name
    digest = hashlib.sha256(full_name.encode()).hexdigest()[:6]
    return f"{name[: max_length - len(digest) - 1].rstrip(separator)}{separator}{digest}"


def generation_suffix(generation: str) -> str:
    """Return the end of the name of a resource that exists once for each generation."""
    return "" if generation == "1" else f"-{generation}"


def name_of_node_key(node: str) -> str:
    """Return the part of a resource name that identifies the key of a node. Names of nodes contain no dots."""
    return f"node.{node}" if _OTHER_KEYS.fullmatch(node) else node
