"""The public names of a stack: of the IAM services, and of the sites of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from settings.sections import Settings
from settings.sites import name_of


def describe_sites(settings: Settings) -> Mapping[str, Mapping[str, Any]]:
    """Return the domain of each public name and how it is served, by "api", "authz" or the site's first host name."""
    found: dict[str, Mapping[str, Any]] = {}
    if settings.domains is not None:
        for name, domain in {"api": settings.domains.api, "authz": settings.domains.authz}.items():
            found[name] = {"domain": domain, "https": True, "http": "redirect", "default": False}
    for site in settings.nginx.sites:
        found[site.name] = {"domain": site.name, "https": site.https, "http": site.http, "default": site.default}
    return found


def urls_of(settings: Settings) -> dict[str, str]:
    """Return the URL of each public name."""
    sites = describe_sites(settings)
    return {name: f"{'https' if site['https'] else 'http'}://{site['domain']}" for name, site in sites.items()}


def names_in_zone(settings: Settings) -> Mapping[str, str]:
    """Return the host names that get DNS records, by the part of the records' resource names that identifies them.

    Host names of sites outside the zone get none.
    """
    zone, found = settings.dns.zone, dict[str, str]()
    if zone is None:
        return found
    if settings.domains is not None:
        found |= {"api": settings.domains.api, "authz": settings.domains.authz}
    for site in settings.nginx.sites:
        for host in site.hosts:
            if host == zone or host.endswith(f".{zone}"):
                found[name_of(host)] = host
    return found
