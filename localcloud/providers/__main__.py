"""`python -m localcloud.providers PLUGIN ENGINE_ADDRESS`, the command of the plugin executables."""

from __future__ import annotations

import importlib
import sys
from typing import Final

from localcloud.providers.adapter import Adapter
from localcloud.providers.plugins import version
from localcloud.providers.server import serve

# The module with the BACKEND of each plugin. Only the requested one is imported: the SDK of the cloud and cryptography
# are slow to import.
_MODULES: Final = {
    "tencentcloud": "localcloud.providers.tencentcloud.types",
    "random": "localcloud.providers.state_only.random",
    "tls": "localcloud.providers.state_only.certificates",
}


def main(plugin: str, arguments: list[str]) -> None:
    serve(arguments, version(plugin), Adapter(importlib.import_module(_MODULES[plugin]).BACKEND))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
