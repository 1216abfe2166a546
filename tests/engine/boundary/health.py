"""Stand-in for provisioning.health. The API has no instances behind its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def check(public_ips: Sequence[str], domains: Mapping[str, str], ca_certificate: str) -> None:
    assert public_ips
    assert domains
    assert ca_certificate
