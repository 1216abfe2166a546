"""Stand-in for provisioning.health.checks. The API has no instances behind its records."""

from __future__ import annotations

from provisioning.health.checks import PublicSide


def check(public: PublicSide) -> None:
    assert public.addresses
    assert all(service.domain and service.ca for service in public.services)
    assert public.password
