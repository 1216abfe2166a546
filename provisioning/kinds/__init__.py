"""The kinds of items in a manifest, one module each.

Module NAME here defines the data, the question to the agent, the comparison with the facts and the operation;
`provisioning/agent/kinds/NAME.py` gathers the facts and performs the operation. To add a kind, add these two files:
the modules of this package are discovered, the agent's are imported by name.
"""

from __future__ import annotations

import importlib
import pkgutil

from provisioning.kinds.base import Item


def _register() -> dict[str, type[Item]]:
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {
        name: member
        for module in modules
        for name, member in vars(module).items()
        if isinstance(member, type) and issubclass(member, Item) and member.__module__ == module.__name__
    }


KINDS = _register()  # by class name, "File"
KINDS.pop("Item")
