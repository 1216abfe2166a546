"""The state of one stack: what the engine has made, as a JSON file that is replaced atomically at every step."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from localcloud.engine.errors import LockedError, StateError
from localcloud.engine.secrets import Crypter, new_crypter, open_crypter
from localcloud.engine.urns import STACK_TYPE
from localcloud.engine.values import SECRET_SIGNATURE, SIGNATURE_KEY, Properties, Secret, walk

if TYPE_CHECKING:
    from pathlib import Path

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource that exists."""

    urn: str
    type: str
    custom: bool = False
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    provider: str = ""  # "urn::id" of an explicit provider
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    secret_outputs: tuple[str, ...] = ()
    hooks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    delete: bool = False  # replaced already; what remains is to delete it
    unsettled: bool = False  # the create call was answered, but the waits and reads after it were not finished
    created: str = ""
    modified: str = ""

    def depends_on(self) -> frozenset[str]:
        """URNs that must outlive this resource."""
        urns = {*self.dependencies, *(urn for urns in self.property_dependencies.values() for urn in urns)}
        if self.parent:
            urns.add(self.parent)
        if self.provider:
            urns.add(self.provider.rsplit("::", 1)[0])
        return frozenset(urns)


@dataclass(frozen=True, slots=True)
class PendingCreate:
    """Written before a create call is made: whoever finds it knows that something may exist without an id here."""

    resource: Resource
    token: str  # an idempotency key, for APIs that take one
    since: str


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class StateStore:
    """Reads and writes the state file of one stack, and holds its lock. Thread-safe."""

    def __init__(self, directory: Path, project: str, stack: str, passphrase: str) -> None:
        self._path = directory / f"{stack}.json"
        self._directory = directory
        self._project = project
        self._stack = stack
        self._mutex = threading.RLock()
        self._lock_file: int | None = None
        self._resources: list[Resource] = []
        self._pending: list[PendingCreate] = []
        self._encoded: dict[int, tuple[Resource, dict[str, Any]]] = {}
        self._crypter = self._load(passphrase)

    @property
    def path(self) -> Path:
        return self._path

    def lock(self) -> None:
        """Take the stack for this process; a killed owner's lock is gone with it. Raises LockedError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._path.with_suffix(".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 200).decode(errors="replace").strip()
            os.close(descriptor)
            msg = (
                f"stack {self._stack!r} is locked by {owner or 'another run'}\n"
                f"  wait for that run to end, or end it; the lock ({path}) goes with its process"
            )
            raise LockedError(msg) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"pid {os.getpid()} since {now()}".encode())
        self._lock_file = descriptor

    def unlock(self) -> None:
        if self._lock_file is not None:
            os.ftruncate(self._lock_file, 0)
            os.close(self._lock_file)
            self._lock_file = None

    def reload(self) -> None:
        """Read the file again: another run may have changed it between opening and locking."""
        with self._mutex:
            if self._path.exists():
                self._read(json.loads(self._path.read_text()))

    def resources(self) -> tuple[Resource, ...]:
        with self._mutex:
            return tuple(self._resources)

    def pending(self) -> tuple[PendingCreate, ...]:
        with self._mutex:
            return tuple(self._pending)

    def find(self, urn: str) -> Resource | None:
        """The live resource of that URN; what is only left to be deleted does not count."""
        with self._mutex:
            return next((one for one in self._resources if one.urn == urn and not one.delete), None)

    def stack_outputs(self) -> Properties:
        with self._mutex:
            return next((one.outputs for one in self._resources if one.type == STACK_TYPE), {})

    def put(self, resource: Resource, *, replacing: Resource | None = None) -> Resource:
        """Record the resource, in place of the live one with its URN, and forget its pending create.

        With `replacing`, that older one stays known as something that is still to be deleted.
        Writes nothing when nothing changed. Returns what is recorded.
        """
        with self._mutex:
            before = self.find(resource.urn)
            pending = [one for one in self._pending if one.resource.urn != resource.urn]
            if before is not None and _same(before, resource) and pending == self._pending:
                return before
            self._pending = pending
            if before is not None and before is replacing:
                self._resources[self._resources.index(before)] = replace(before, delete=True)
                before = None
            stamped = replace(resource, modified=now(), created=resource.created or now())
            if before is None:
                self._resources.append(stamped)
            else:
                self._resources[self._resources.index(before)] = stamped
            self._write()
            return stamped

    def remove(self, resource: Resource) -> None:
        with self._mutex:
            self._resources = [one for one in self._resources if one is not resource]
            self._encoded.pop(id(resource), None)
            self._write()

    def begin_create(self, pending: PendingCreate) -> None:
        with self._mutex:
            self._pending = [one for one in self._pending if one.resource.urn != pending.resource.urn]
            self._pending.append(pending)
            self._write()

    def drop_pending(self, urns: Iterable[str]) -> None:
        gone = set(urns)
        with self._mutex:
            self._pending = [one for one in self._pending if one.resource.urn not in gone]
            self._write()

    def clear(self) -> None:
        """Forget the empty stack, but keep the file: its salt belongs to the passphrase."""
        with self._mutex:
            self._resources = []
            self._pending = []
            self._write()

    # The file

    def _load(self, passphrase: str) -> Crypter:
        if not self._path.exists():
            return new_crypter(passphrase)
        try:
            data = json.loads(self._path.read_text())
        except json.JSONDecodeError as error:
            msg = f"{self._path} is not JSON ({error}); it was not written by this engine"
            raise StateError(msg) from error
        if data.get("version") != _VERSION:
            msg = f"{self._path} has version {data.get('version')!r}; this engine reads version {_VERSION}"
            raise StateError(msg)
        self._crypter = open_crypter(passphrase, data["encryptionsalt"])
        self._read(data)
        return self._crypter

    def _read(self, data: Mapping[str, Any]) -> None:
        self._encoded = {}
        self._resources = [self._decode(one) for one in data["resources"]]
        self._pending = [
            PendingCreate(self._decode(one["resource"]), one["token"], one["since"]) for one in data["pendingCreates"]
        ]

    def _write(self) -> None:
        data = {
            "version": _VERSION,
            "engine": "localcloud",
            "project": self._project,
            "stack": self._stack,
            "encryptionsalt": self._crypter.salt,
            "resources": [self._encode(one) for one in self._resources],
            "pendingCreates": [
                {"resource": self._encode(one.resource), "token": one.token, "since": one.since}
                for one in self._pending
            ],
        }
        self._directory.mkdir(parents=True, exist_ok=True)
        _write_atomically(self._path, json.dumps(data, indent=2))

    # Resources are immutable, so that each is encrypted and encoded once, not at every write.

    def _decode(self, data: dict[str, Any]) -> Resource:
        resource = _decode(data, self._crypter)
        self._encoded[id(resource)] = (resource, data)
        return resource

    def _encode(self, resource: Resource) -> dict[str, Any]:
        known = self._encoded.get(id(resource))
        if known is not None and known[0] is resource:
            return known[1]
        encoded = _encode(resource, self._crypter)
        self._encoded[id(resource)] = (resource, encoded)
        return encoded


def _same(one: Resource, other: Resource) -> bool:
    return replace(one, created="", modified="") == replace(other, created="", modified="")


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_suffix(".json.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


_PLAIN_FIELDS: Final = {
    "urn": "urn",
    "type": "type",
    "custom": "custom",
    "id": "id",
    "parent": "parent",
    "provider": "provider",
    "protect": "protect",
    "retain_on_delete": "retainOnDelete",
    "deleted_with": "deletedWith",
    "delete": "delete",
    "unsettled": "unsettled",
    "created": "created",
    "modified": "modified",
}


def _encode(resource: Resource, crypter: Crypter) -> dict[str, Any]:
    data = {key: getattr(resource, name) for name, key in _PLAIN_FIELDS.items()}
    data = {key: value for key, value in data.items() if value not in ("", False)}
    data["inputs"] = _seal(resource.inputs, crypter)
    data["outputs"] = _seal(resource.outputs, crypter)
    data["dependencies"] = list(resource.dependencies)
    data["propertyDependencies"] = {key: list(urns) for key, urns in resource.property_dependencies.items()}
    data["additionalSecretOutputs"] = list(resource.secret_outputs)
    data["resourceHooks"] = {key: list(names) for key, names in resource.hooks.items()}
    return data


def _decode(data: Mapping[str, Any], crypter: Crypter) -> Resource:
    plain: dict[str, Any] = {name: data[key] for name, key in _PLAIN_FIELDS.items() if key in data}
    return Resource(
        **plain,
        inputs=_unseal(data["inputs"], crypter),
        outputs=_unseal(data["outputs"], crypter),
        dependencies=tuple(data["dependencies"]),
        property_dependencies={key: tuple(urns) for key, urns in data["propertyDependencies"].items()},
        secret_outputs=tuple(data["additionalSecretOutputs"]),
        hooks={key: tuple(names) for key, names in data["resourceHooks"].items()},
    )


def _seal(value: Any, crypter: Crypter) -> Any:
    def change(item: Any) -> Any:
        if not isinstance(item, Secret):
            return item
        sealed = crypter.encrypt(json.dumps(_seal(item.value, crypter), sort_keys=True))
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": sealed}

    return walk(value, change)


def _unseal(value: Any, crypter: Crypter) -> Any:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return Secret(_unseal(json.loads(crypter.decrypt(value["ciphertext"])), crypter))
        return {key: _unseal(item, crypter) for key, item in value.items()}
    if isinstance(value, list):
        return [_unseal(item, crypter) for item in value]
    return value
