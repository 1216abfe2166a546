"""Dynamic resources: the SDK's own provider server, in a child process, over the protocol that Pulumi speaks to it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, Final

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from localcloud.engine import guarded
from localcloud.engine.comparison import Difference, changed_names
from localcloud.engine.providers.base import Created, CreateRequest, ProviderError
from localcloud.engine.values import Properties, Secret, from_struct, mark_secrets, to_struct

if TYPE_CHECKING:
    import subprocess

    from localcloud.engine.project import Project

_PROVIDER_KEY: Final = "__provider"
_NO_LIMIT: Final = [("grpc.max_receive_message_length", 1024 * 1024 * 400), ("grpc.enable_http_proxy", 0)]


class DynamicProvider:
    """Started at the first call. Its working directory is the program's, so that it imports the same modules."""

    foresees_outputs = False

    def __init__(self, project: Project) -> None:
        self._project = project
        self._mutex = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._guard = -1
        self._stub: Any = None

    def check(self, resource_type: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Properties:
        del resource_type
        request = provider_pb2.CheckRequest(olds=to_struct(old, secrets=False), news=to_struct(new, secrets=False))
        answer = self._call("Check", request)
        if answer.failures:
            raise ProviderError("; ".join(f"property {one.property}: {one.reason}" for one in answer.failures))
        return mark_secrets(from_struct(answer.inputs), new)

    def diff(
        self,
        resource_type: str,
        resource_id: str,
        old: Mapping[str, Any],
        outputs: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> Difference:
        del resource_type
        request = provider_pb2.DiffRequest(
            id=resource_id,
            olds=to_struct(outputs, secrets=False),
            old_inputs=to_struct(old, secrets=False),
            news=to_struct(new, secrets=False),
        )
        answer = self._call("Diff", request)
        changed = changed_names(old, new)
        if answer.changes == provider_pb2.DiffResponse.DIFF_NONE:
            changed = ()
        elif answer.changes == provider_pb2.DiffResponse.DIFF_SOME and not changed:
            changed = ("(said by the provider)",)
        return Difference(changed, tuple(answer.replaces), answer.deleteBeforeReplace)

    def create(self, request: CreateRequest) -> Created:
        answer = self._call("Create", provider_pb2.CreateRequest(properties=to_struct(request.inputs, secrets=False)))
        return Created(answer.id, _outputs(answer.properties, request.inputs))

    def find(self, resource_type: str, inputs: Properties, token: str, known: frozenset[str]) -> str | None:
        # By Pulumi's contract a dynamic create that fails leaves nothing behind, so it is simply made again.
        del resource_type, inputs, token, known
        return None

    def settle(self, resource_type: str, resource_id: str, inputs: Properties) -> Properties | None:
        return self.read(resource_type, resource_id, inputs, inputs)

    def read(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        del resource_type
        request = provider_pb2.ReadRequest(
            id=resource_id, properties=to_struct(outputs, secrets=False), inputs=to_struct(inputs, secrets=False)
        )
        answer = self._call("Read", request)
        return _outputs(answer.properties, inputs) if answer.id else None

    def update(
        self, resource_type: str, resource_id: str, old: Properties, outputs: Properties, new: Properties
    ) -> Properties:
        del resource_type, old
        request = provider_pb2.UpdateRequest(
            id=resource_id, olds=to_struct(outputs, secrets=False), news=to_struct(new, secrets=False)
        )
        return _outputs(self._call("Update", request).properties, new)

    def delete(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> None:
        del resource_type
        properties = {**outputs, _PROVIDER_KEY: outputs.get(_PROVIDER_KEY, inputs.get(_PROVIDER_KEY))}
        self._call(
            "Delete", provider_pb2.DeleteRequest(id=resource_id, properties=to_struct(properties, secrets=False))
        )

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            os.close(self._guard)
            self._process = None

    def _call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self._server(), method)(request)
        except grpc.RpcError as error:
            raise ProviderError((error.details() or str(error)).strip()) from None

    def _server(self) -> Any:
        with self._mutex:
            if self._stub is None:
                self._stub = self._start()
            return self._stub

    def _start(self) -> Any:
        directory = self._project.main if self._project.main.is_dir() else self._project.main.parent
        environment = {**os.environ, "PULUMI_PROJECT": self._project.name, "PULUMI_STACK": self._project.stack}
        self._process, self._guard = guarded.start("pulumi.dynamic", [], directory=directory, environment=environment)
        assert self._process.stdout is not None and self._process.stderr is not None  # noqa: PT018 - piped
        threading.Thread(target=_pass_on, args=(self._process.stderr,), daemon=True).start()
        port = self._process.stdout.readline().strip()
        if not port.isdigit():
            msg = f"the dynamic provider did not start (it said {port!r} where its port was expected)"
            raise ProviderError(msg)
        threading.Thread(target=_pass_on, args=(self._process.stdout,), daemon=True).start()
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_NO_LIMIT)
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        config = {
            key: Secret(text) if key in self._project.secret_keys else text
            for key, text in self._project.config.items()
        }
        stub.Configure(provider_pb2.ConfigureRequest(args=to_struct(config), acceptSecrets=True))
        return stub


def _pass_on(stream: IO[str]) -> None:
    """What a provider prints belongs to the person, and a full pipe would stop it."""
    for line in stream:
        sys.stderr.write(line)


def _outputs(struct: Any, inputs: Properties) -> Properties:
    return mark_secrets(from_struct(struct), inputs)
