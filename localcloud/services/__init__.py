"""The handlers of the API actions. A handler parses a request, calls the rules in `localcloud.rules`, and builds the
response.
"""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import all modules of this package, which register their actions."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
