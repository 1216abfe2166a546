"""The process of the two HTTP services: configuration, listeners, signals, graceful shutdown."""

from __future__ import annotations

import math
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .codes import IamError
from .config import Config
from .journal import Journal
from .messages import Request, Response
from .web import Listener, server_context

_DRAIN_S = 10
_TURN_S = 0.1


@dataclass(frozen=True, slots=True)
class Ports:
    """The listeners with their handlers, and the steps after the last response."""

    public: Callable[[Request], Response]
    internal: Callable[[Request], Response] | None = None
    finish: Callable[[], None] = lambda: None


def run(read_config: Callable[[], Config], prepare: Callable[[Config, Journal, Stop], Ports]) -> int:
    """Serve until SIGTERM or SIGINT, then finish open requests. Returns the exit code."""
    stop = Stop()
    try:
        config = read_config()
        journal = Journal.open(config.server, config.words("log.output-paths"))
        ports = prepare(config, journal, stop)
        listeners = _listen(config, ports, journal)
    except StoppedError:
        return 0
    except (IamError, OSError, ssl.SSLError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for listener in listeners:
        listener.start()
    journal.info(f"{config.server} serves", ports=[listener.port for listener in listeners])
    stop.wait()
    drained = [listener.drain(_DRAIN_S) for listener in listeners]
    ports.finish()
    journal.info(f"{config.server} stopped", drained=all(drained))
    return 0


class StoppedError(IamError):
    """The process was asked to stop before it served."""


class Stop:
    """A stop request by SIGTERM or SIGINT. Use it only in the main thread, where Python runs signal handlers."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._event.set()

    def wait(self, seconds: float = math.inf) -> bool:
        """Whether a stop was requested within that time.

        The kernel delivers a signal to any thread and does not wake a main thread that sleeps on a lock, so the main
        thread sleeps in short intervals.
        """
        until = time.monotonic() + seconds
        while not self._event.wait(max(0.0, min(until - time.monotonic(), _TURN_S))):
            if time.monotonic() >= until:
                return False
        return True


def _listen(config: Config, ports: Ports, journal: Journal) -> list[Listener]:
    log_requests = "logger" in config.words("server.middlewares")
    tls = server_context(
        config.text("secure.tls.cert-key.cert-file"), config.text("secure.tls.cert-key.private-key-file")
    )

    def bound(section: str, context: ssl.SSLContext | None) -> Listener:
        address = (config.text(f"{section}.bind-address"), config.number(f"{section}.bind-port"))
        answer = ports.internal if section == "grpc" and ports.internal else ports.public
        try:
            return Listener(address, answer, journal, tls=context, log_requests=log_requests and section != "grpc")
        except OSError as error:
            raise OSError(
                f"{config.server}: cannot listen on {address[0]}:{address[1]} ({section}): {error}"
            ) from error

    listeners = [bound("insecure", None), bound("secure", tls)]
    if ports.internal:
        listeners.append(bound("grpc", tls))
    return listeners
