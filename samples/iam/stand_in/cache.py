"""What an authz-server knows: everybody's secrets and policies, read whole and swapped in one step."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .apiserver import POLICIES_PATH, SECRETS_PATH
from .codes import IamError
from .journal import Journal

_TIMEOUT_S = 5
# After a notice wait for more of them: a script that makes ten policies costs one or two reloads, not ten.
_QUIET_S = 0.05


class SourceError(IamError):
    """The apiserver did not give its secrets and policies. The message says why."""


@dataclass(frozen=True, slots=True)
class CachedSecret:
    username: str
    key: str
    expires: int  # unix seconds; 0 = never


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading. Never changed: a request works with one snapshot from beginning to end."""

    secrets: Mapping[str, CachedSecret] = field(default_factory=dict[str, CachedSecret])
    policies: Mapping[str, Sequence[Mapping[str, Any]]] = field(
        default_factory=dict[str, "Sequence[Mapping[str, Any]]"]
    )


class Source(Protocol):
    def read(self) -> Snapshot:
        """Raises SourceError."""
        ...


class ApiserverSource:
    """Reads from the machine's own apiserver over HTTPS, whose certificate must name the host part of `rpcserver`."""

    def __init__(self, rpcserver: str, ca_file: str) -> None:
        host, _, port = rpcserver.rpartition(":")
        self._address = (host, int(port))
        self._context = ssl.create_default_context(cafile=ca_file)

    def read(self) -> Snapshot:
        connection = http.client.HTTPSConnection(*self._address, timeout=_TIMEOUT_S, context=self._context)
        try:
            secrets = self._ask(connection, SECRETS_PATH)
            policies = self._ask(connection, POLICIES_PATH)
        except (OSError, ssl.SSLError, http.client.HTTPException, ValueError) as error:
            raise SourceError(f"apiserver at {self._address[0]}:{self._address[1]}: {error}") from error
        finally:
            connection.close()
        return Snapshot({kid: CachedSecret(**secret) for kid, secret in secrets.items()}, policies)

    @staticmethod
    def _ask(connection: http.client.HTTPSConnection, path: str) -> dict[str, Any]:
        connection.request("POST", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise http.client.HTTPException(f"POST {path} gave {answer.status} {body[:200]!r}")
        return json.loads(body)


class Cache:
    """The current snapshot, and a thread that reads a new one whenever `reload_soon` was called."""

    def __init__(self, source: Source, journal: Journal) -> None:
        self._source = source
        self._journal = journal
        self._wanted = threading.Event()
        self.snapshot = Snapshot()

    def reload(self) -> bool:
        """Read now. Where that fails the old snapshot stays: decisions go on without the apiserver."""
        self._wanted.clear()
        try:
            self.snapshot = self._source.read()
        except SourceError as error:
            self._journal.error("failed to reload secrets and policies; the old ones stay", error=str(error))
            return False
        self._journal.info(
            "reloaded", secrets=len(self.snapshot.secrets), owners_of_policies=len(self.snapshot.policies)
        )
        return True

    def reload_soon(self) -> None:
        self._wanted.set()

    def follow(self, stop: threading.Event, retry_s: float = 1.0) -> None:
        """Until `stop`: reload when asked, and again after a failure, since the notice will not come twice."""
        while not stop.is_set():
            if not self._wanted.wait(timeout=0.5):
                continue
            stop.wait(_QUIET_S)
            if not self.reload():
                stop.wait(retry_s)
                self._wanted.set()
