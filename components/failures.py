"""Reports errors of the program and its dynamic providers without tracebacks and without duplicates."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import grpc
from pulumi import RunError
from pulumi.runtime import settings

from provisioning.errors import ProvisioningError

P = ParamSpec("P")
R = TypeVar("R")


def without_traceback(method: Callable[P, R]) -> Callable[P, R]:
    """Report a ProvisioningError without its traceback. Other exceptions keep theirs.

    pulumi.dynamic reports `traceback.format_exc()`; a traceback limit of 0 leaves only the error message.
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
    """Return an exception with the same name and text, but without the module path in its representation."""
    name = type(error).__name__
    return type(name, (Exception,), {"__module__": "builtins"})(str(error))


def end_quietly_when_cancelled() -> None:
    """Suppress the program's own errors when the engine cancels it after a failed resource.

    Pulumi's launcher is interrupted in that case: Python would print a KeyboardInterrupt and take seconds to exit. With
    pulumi.automation the program loses its connections, and each would be reported as an additional error.
    """
    if _is_launched():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    engine: Any = settings.get_engine()
    if engine is not None:
        leave_out(engine, is_cancellation)
        settings.SETTINGS.monitor = Monitor(settings.get_monitor())  # pyright: ignore[reportAttributeAccessIssue] - as above


def _is_launched() -> bool:
    """Whether Pulumi's launcher runs the program, and not pulumi.automation."""
    return any("pulumi-language-python-exec" in argument for argument in sys.orig_argv)


@contextmanager
def reported_once() -> Generator[None]:
    """With pulumi.automation the engine shows a RunError of the program, which the SDK would report too."""
    try:
        yield
    except RunError as error:
        engine: Any = settings.get_engine()
        if engine is not None and not _is_launched():
            leave_out(engine, str(error).__eq__)
        raise


def leave_out(engine: Any, unwanted: Callable[[str], bool]) -> None:
    """Suppress log messages. Changes the connection itself: the SDK reports errors outside the program's context."""
    log = engine.Log

    def log_others(request: Any) -> Any:
        return None if unwanted(request.message) else log(request)

    engine.Log = log_others


class Monitor:
    """The resource monitor. A cancelled call ends the program like a monitor that has terminated.

    Pulumi's SDK makes a RunError of UNAVAILABLE only; CANCELLED becomes an Exception, which is shown with a traceback.
    """

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._monitor, name)
        return _quiet(found) if callable(found) else found


def _quiet(call: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(call, assigned=())
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except grpc.RpcError as error:
            status: Any = error  # has the methods of grpc.Call too
            if status.code() == grpc.StatusCode.CANCELLED:
                raise RunError("Resource monitor has terminated, shutting down") from None
            raise

    return wrapper


def is_cancellation(message: str) -> bool:
    """Return whether an error message only reports that the engine has ended."""
    first = message.partition("\n")[0].removeprefix("python inline source runtime error: ")
    return first in {"Resource monitor has terminated, shutting down", "context canceled"}
