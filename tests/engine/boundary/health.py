"""Stands in for provisioning.health where there are no nodes, only their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def check(public_ips: Sequence[str], domains: Mapping[str, str], ca_certificate: str) -> None:
    assert public_ips
    assert domains
    assert ca_certificate
