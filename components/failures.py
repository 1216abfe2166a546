"""How an error leaves a dynamic provider: as our text alone."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

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


def end_without_traceback_when_cancelled() -> None:
    """Let the engine's interrupt end this process as it would end any other.

    When a resource fails, the engine interrupts the program, which still waits for that resource: Python would print
    a KeyboardInterrupt below the error that matters, and take seconds to leave. Only Pulumi's own launcher is alone
    in its process; where the program runs inside another one, signals are that one's.
    """
    if any("pulumi-language-python-exec" in word for word in sys.orig_argv):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
