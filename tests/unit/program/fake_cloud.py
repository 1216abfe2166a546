"""Runs the program against Pulumi's mocks and records the declared resources."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import runpy
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import mocks, rpc
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto.resource_pb2 import (
    RegisterResourceRequest,
    RegisterResourceResponse,
    ResourceInvokeRequest,
    ResourceInvokeResponse,
)
from pulumi.runtime.settings import get_root_resource
from pulumi.runtime.stack import run_pulumi_func

ROOT = Path(__file__).parents[3]
PROJECT = "tandem"


@dataclass(frozen=True)
class Declared:
    """One resource as the program declared it."""

    type: str  # "tencentcloud:Vpc/instance:Instance"
    name: str
    inputs: Mapping[str, Any]  # with secrets in plain text; `secret_inputs` lists their keys
    secret_inputs: frozenset[str]
    request: RegisterResourceRequest

    @property
    def kind(self) -> str:
        """The middle part of the type, for example "Vpc/instance"."""
        return self.type.split(":")[1]

    @property
    def depends_on(self) -> frozenset[str]:
        """Names of the resources that this one depends on."""
        return frozenset(urn.rsplit("::", 1)[-1] for urn in self.request.dependencies)

    @property
    def ignores(self) -> frozenset[str]:
        return frozenset(self.request.ignoreChanges)


@dataclass
class Run:
    """The resources and exports of one run of the program."""

    resources: list[Declared] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    secret_exports: set[str] = field(default_factory=set)

    def of_kind(self, kind: str) -> list[Declared]:
        return [each for each in self.resources if each.kind == kind]

    def get(self, name: str) -> Declared:
        """Return the resource with a name. Raises: LookupError with all names."""
        for each in self.resources:
            if each.name == name:
                return each
        raise LookupError(f"{name} is not declared; declared: {sorted(each.name for each in self.resources)}")


class _CloudMocks(mocks.Mocks):
    """Returns the outputs that the cloud would return, as far as the program uses them."""

    def __init__(self, *, preview: bool, last: Mapping[str, Any] | None = None) -> None:
        self._preview = preview
        self._last = last or {}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        # The only call of the program; everything else depends only on its settings.
        assert args.token == "pulumi:pulumi:readStackOutputs"
        return {"name": args.args["name"], "outputs": dict(self._last), "secretOutputNames": []}, []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = {key: _plain(value) for key, value in args.inputs.items()}
        if self._preview:
            return None, inputs
        outputs: dict[str, Any] = {name: f"{args.name}.{name}" for name in _OUTPUTS.get(args.typ.split(":")[1], ())}
        if args.typ.endswith(":HostKeys"):
            outputs["host_keys"] = [f"ssh-ed25519 {args.name}"]
        if args.typ.endswith(":Rollout"):
            outputs["revision"] = "revision-1"
        return f"{args.name}.id", {**inputs, **outputs}


# Outputs that the cloud adds to the inputs.
_OUTPUTS = {
    "Eip/instance": ("publicIp",),
    "index/privateKey": ("privateKeyPem", "privateKeyOpenssh", "publicKeyPem", "publicKeyOpenssh"),
    "index/selfSignedCert": ("certPem",),
    "index/certRequest": ("certRequestPem",),
    "index/locallySignedCert": ("certPem",),
    "index/randomPassword": ("result", "bcryptHash"),
}


class _Monitor(mocks.MockMonitor):
    """Records all requests, which contain more than `Mocks` receives: options, dependencies and secrets."""

    def __init__(self, answers: mocks.Mocks, run: Run) -> None:
        super().__init__(answers)
        self._run = run
        self._lock = threading.Lock()

    def Invoke(self, request: ResourceInvokeRequest) -> ResourceInvokeResponse:  # noqa: N802 - gRPC's name
        args = rpc.deserialize_properties(request.args)
        answer, _ = self.mocks.call(mocks.MockCallArgs(request.tok, args, request.provider))
        return ResourceInvokeResponse(**{"return": _to_wire(answer)})

    # The SDK's implementations of these two methods leave an open event loop on every worker thread.
    def RegisterResource(self, request: RegisterResourceRequest) -> RegisterResourceResponse:  # noqa: N802 - gRPC's name
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return RegisterResourceResponse(urn=urn)
        inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
        secret = frozenset(key for key, value in inputs.items() if rpc.is_rpc_secret(value))
        plain = {key: _plain(value) for key, value in inputs.items()}
        with self._lock:
            self._run.resources.append(Declared(request.type, request.name, plain, secret, request))
        id_, state = self.mocks.new_resource(mocks.MockResourceArgs(request.type, request.name, plain))
        return RegisterResourceResponse(urn=urn, id=id_ or "", object=_to_wire(state))


def _to_wire(state: Mapping[str, Any]) -> Any:
    # All values are known, so the coroutine never waits. An event loop for each response took a tenth of the run.
    try:
        rpc.serialize_properties(dict(state), {}).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the serialization of a response must not wait")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if rpc.is_rpc_secret(value):
            return _plain(rpc.unwrap_rpc_secret(value))
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def stack_config(stack: str) -> dict[str, Any]:
    """Return a copy of the configuration in the file of a provided stack, or of an example in samples/."""
    return copy.deepcopy(_read_stack(stack))


@functools.cache
def _read_stack(stack: str) -> dict[str, Any]:
    provided, example = ROOT / "stacks" / f"Pulumi.{stack}.yaml", ROOT / "samples" / stack / "stack.yaml"
    text = (provided if provided.exists() else example).read_text(encoding="utf-8")
    return yaml.safe_load(text)["config"]


def run_program(
    stack: str,
    config: Mapping[str, Any],
    *,
    preview: bool = False,
    last: Mapping[str, Any] | None = None,
    run: Run | None = None,
) -> Run:
    """Run `__main__.py` with a configuration, after a deployment with the exports `last`.

    Raises: the exception of the program. The resources declared before it are in `run`.
    """
    run = run or Run()

    async def main() -> None:
        answers = _CloudMocks(preview=preview, last=last)
        monitor = _Monitor(answers, run)
        mocks.set_mocks(answers, project=PROJECT, stack=stack, preview=preview, monitor=monitor)
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        # Pulumi would encrypt these sections, because they contain secrets.
        set_all_config(texts, ["tandem:credentials", "tandem:notifications"])
        await run_pulumi_func(_execute)
        for name, value in getattr(get_root_resource(), "outputs", {}).items():
            output = pulumi.Output.from_input(value)
            run.exports[name] = await output.future()
            if await output.is_secret():
                run.secret_exports.add(name)

    # Pulumi inspects the call stack for every resource. In a new thread the stack is short, which halves the time.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(main())).result()
    return run


def _execute() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
