"""How an error leaves a dynamic provider: as our text alone."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from pulumi.runtime import settings

from provisioning.errors import ProvisioningError

P = ParamSpec("P")
R = TypeVar("R")


def without_traceback(method: Callable[P, R]) -> Callable[P, R]:
    """Let a ProvisioningError through as text alone; a fault of our own keeps its traceback.

    pulumi.dynamic sends `traceback.format_exc()` to the person: a limit of 0 leaves the error's own line(s).
    """

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        sys.tracebacklimit = 1000
        try:
            return method(*args, **kwargs)
        except ProvisioningError as error:
            sys.tracebacklimit = 0
            raise _plain(error) from None

    return wrapper


def _plain(error: ProvisioningError) -> Exception:
    """The same text under the same name, without the module's path in front of it."""
    name = type(error).__name__
    return type(name, (Exception,), {"__module__": "builtins"})(str(error))


def end_quietly_when_cancelled() -> None:
    """Let the engine's error be the last word when it ends the program, which still waits for a failed resource.

    Pulumi's own launcher is interrupted then: Python would print a KeyboardInterrupt, and take seconds to leave. Run
    by pulumi.automation the program loses its connections, and each would be one more error, some with a traceback.
    """
    if any("pulumi-language-python-exec" in word for word in sys.orig_argv):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    engine: Any = settings.get_engine()
    if engine is not None:
        settings.SETTINGS.engine = _EngineLog(engine)  # pyright: ignore[reportAttributeAccessIssue] - a property of the run


class _EngineLog:
    """The engine, to which nobody reports that it has ended the program."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def Log(self, request: Any) -> Any:
        return None if is_cancellation(request.message) else self._engine.Log(request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def is_cancellation(message: str) -> bool:
    """Whether a program's error only says that the engine has gone."""
    first = message.partition("\n")[0].removeprefix("python inline source runtime error: ")
    return first in {"Resource monitor has terminated, shutting down", "context canceled"}
