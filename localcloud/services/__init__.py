"""The handlers: they unpack a request, call the rules in `localcloud.rules`, and pack the answer."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import every file here, so that each registers its actions."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
