"""`python -m localcloud.providers PLUGIN ENGINE_ADDRESS`, the command of the plugin executables."""

from __future__ import annotations

import sys
from typing import Final

from localcloud.providers.adapter import Adapter, Backend
from localcloud.providers.plugins import version
from localcloud.providers.server import serve

# Only the types of the requested plugin are imported: the SDK of the cloud and cryptography are slow to import.


def _tencentcloud() -> Backend:
    from localcloud.providers.tencentcloud.backend import TencentBackend  # noqa: PLC0415 - slow; see above
    from localcloud.providers.tencentcloud.types import TYPES  # noqa: PLC0415 - slow; see above

    return TencentBackend(TYPES)


def _random() -> Backend:
    from localcloud.providers.state_only.backend import StateOnlyBackend  # noqa: PLC0415 - slow; see above
    from localcloud.providers.state_only.random import TYPES  # noqa: PLC0415 - slow; see above

    return StateOnlyBackend(TYPES)


def _tls() -> Backend:
    from localcloud.providers.state_only.backend import StateOnlyBackend  # noqa: PLC0415 - slow; see above
    from localcloud.providers.state_only.certificates import TYPES  # noqa: PLC0415 - slow; see above

    return StateOnlyBackend(TYPES)


_BACKENDS: Final = {"tencentcloud": _tencentcloud, "random": _random, "tls": _tls}


def main(plugin: str, arguments: list[str]) -> None:
    serve(arguments, version(plugin), Adapter(_BACKENDS[plugin]()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
