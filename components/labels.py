"""Names and tags: project and stack in every one, so that two stacks in one account never meet."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

# ImportKeyPair takes letters, digits and underscores only (checked by the provider before any call).
_LONGEST_KEY_NAME = 25
# The tightest of the others: VPC, subnet, security group, route table, NAT gateway, HAVIP, placement group, disk,
# alarm policy and notice.
_LONGEST_NAME = 60
# Of a certificate's subject (RFC 5280, appendix A.1: ub-common-name, ub-organization-name).
_LONGEST_SUBJECT = 64


@dataclass(frozen=True, slots=True)
class Labels:
    """What tells this stack's things from another's."""

    project: str
    stack: str
    extra_tags: Mapping[str, str]

    @property
    def group(self) -> str:
        """The group of nodes as a whole, e.g. "tandem-local"."""
        return f"{self.project}-{self.stack}"

    @property
    def tags(self) -> dict[str, str]:
        # A key of its own name, "project", is reserved by the cloud.
        return {**self.extra_tags, "pulumi-project": self.project, "pulumi-stack": self.stack, "managed-by": "pulumi"}

    def name(self, what: str) -> str:
        """The name in the cloud of one thing of this stack, e.g. "tandem-local-vpc"."""
        wanted = f"{self.group}-{what}"
        # A stack may have a dot in its name, a public address none (ModifyAddressAttribute, AddressName).
        return _shortened(re.sub(r"[^A-Za-z0-9_-]+", "-", wanted), _LONGEST_NAME, "-", wanted)

    def key_name(self, what: str) -> str:
        """The same for a key pair, whose names have rules of their own."""
        wanted = f"{self.project}_{self.stack}_{what}"
        return _shortened(re.sub(r"[^A-Za-z0-9]+", "_", wanted), _LONGEST_KEY_NAME, "_", wanted)

    def subject(self, text: str) -> str:
        """A name in a certificate."""
        return _shortened(text, _LONGEST_SUBJECT, " ", text)


def _shortened(name: str, longest: int, separator: str, wanted: str) -> str:
    """The name itself, or its start and a digest of what was wanted: names that lost something must still differ."""
    if name == wanted and len(name) <= longest:
        return name
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:6]
    return f"{name[: longest - len(digest) - 1].rstrip(separator)}{separator}{digest}"
