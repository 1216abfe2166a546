"""The secrets and policies of all users, as an authz-server caches them. A reload replaces the whole snapshot."""

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
# Wait for further notices: a script that creates ten policies causes one or two reloads instead of ten.
_QUIET_S = 0.05


class SourceError(IamError):
    """The apiserver did not return secrets and policies. The message contains the reason."""


@dataclass(frozen=True, slots=True)
class CachedSecret:
    username: str
    key: str
    expires: int  # unix seconds; 0 = never


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An immutable snapshot. A request uses one snapshot from start to end."""

    secrets: Mapping[str, CachedSecret] = field(default_factory=dict[str, CachedSecret])
    policies: Mapping[str, Sequence[Mapping[str, Any]]] = field(
        default_factory=dict[str, "Sequence[Mapping[str, Any]]"]
    )


class Source(Protocol):
    def read(self) -> Snapshot:
        """Raises SourceError."""
        ...


class ApiserverSource:
    """Reads from the node's apiserver over HTTPS. Its certificate must contain the host part of `rpcserver`."""

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
    """The current snapshot, and a thread that reads a new one after `reload_soon` was called."""

    def __init__(self, source: Source, journal: Journal) -> None:
        self._source = source
        self._journal = journal
        self._wanted = threading.Event()
        self.snapshot = Snapshot()

    def reload(self) -> bool:
        """Read a new snapshot.

        If that fails the old one is kept, so that authorization continues without the apiserver.
        """
        self._wanted.clear()
        try:
            self.snapshot = self._source.read()
        except SourceError as error:
            self._journal.error("failed to reload secrets and policies; keeping the old ones", error=str(error))
            return False
        self._journal.info(
            "reloaded", secrets=len(self.snapshot.secrets), owners_of_policies=len(self.snapshot.policies)
        )
        return True

    def reload_soon(self) -> None:
        self._wanted.set()

    def follow(self, stop: threading.Event, retry_s: float = 1.0) -> None:
        """Reload on request until `stop`, and retry after a failure, because the notice is not repeated."""
        while not stop.is_set():
            if not self._wanted.wait(timeout=0.5):
                continue
            stop.wait(_QUIET_S)
            if not self.reload():
                stop.wait(retry_s)
                self._wanted.set()
