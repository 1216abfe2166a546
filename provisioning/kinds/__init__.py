"""The kinds of things that a node holds or runs, one module a kind.

Module NAME here has the data, the question to the agent, the comparison with its answer and the operation;
`provisioning/agent/kinds/NAME.py` answers the question and does the operation. A new kind is these two files:
the modules of this package are registered by their presence, the agent's are loaded by name.
"""

from __future__ import annotations

import importlib
import pkgutil

from provisioning.kinds.base import Thing


def _register() -> dict[str, type[Thing]]:
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {
        name: member
        for module in modules
        for name, member in vars(module).items()
        if isinstance(member, type) and issubclass(member, Thing) and member.__module__ == module.__name__
    }


KINDS = _register()  # by the name of the class: "File"
KINDS.pop("Thing")
