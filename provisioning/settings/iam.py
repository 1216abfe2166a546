"""Placeholder by provisioning so that Deployment can be built: iam owns this file."""

from __future__ import annotations

from provisioning.settings.base import FrozenModel


class IamSettings(FrozenModel):
    pass
