"""Finds the provider of a resource type."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.engine.providers.base import Provider, ProviderError
from localcloud.engine.urns import package_of


class Providers:
    """Providers by package name."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = dict(providers)

    def get(self, resource_type: str) -> Provider:
        """Raises ProviderError for a package that this engine does not have."""
        package = package_of(resource_type)
        provider = self._providers.get(package)
        if provider is None:
            known = ", ".join(sorted(self._providers))
            msg = f"package {package!r} is not known to localcloud's engine (it has: {known})"
            raise ProviderError(msg)
        return provider

    def close(self) -> None:
        for provider in self._providers.values():
            provider.close()
