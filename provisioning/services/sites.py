"""Collects the sites of a deployment: those of IAM and of the settings."""

from __future__ import annotations

from provisioning.deployment import Deployment
from provisioning.services import iam_sites
from provisioning.sites import Site
from settings.sites import SiteSettings


def sites(deployment: Deployment) -> tuple[Site, ...]:
    """All sites."""
    return (*iam_sites.sites(deployment), *(_site(deployment, each) for each in deployment.nginx.sites))


def _site(deployment: Deployment, settings: SiteSettings) -> Site:
    certificate = settings.certificate_name
    return Site(f"site-{settings.name}", settings, certificate, certificate in deployment.trusted_certificates)
