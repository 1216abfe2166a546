"""`python -m localcloud.providers PLUGIN ENGINE_ADDRESS`, the command of the plugin executables."""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Final

# Imported objects live as long as the plugin: searching them for garbage takes a fifth of its start.
gc.set_threshold(100_000)

from localcloud.providers.adapter import Adapter  # noqa: E402 - see above
from localcloud.providers.plugins import version  # noqa: E402 - see above
from localcloud.providers.server import serve  # noqa: E402 - see above

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
