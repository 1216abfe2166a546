"""The resource monitor and engine services that the Pulumi SDK in the program talks to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from localcloud.engine.deployment import Deployment
from localcloud.engine.display import Display
from localcloud.engine.errors import EngineError, ResourceError
from localcloud.engine.goal import goal_of, unsupported
from localcloud.engine.hooks import HookError, Hooks
from localcloud.engine.project import Project
from localcloud.engine.steps import CancelledError
from localcloud.engine.urns import make_urn
from localcloud.engine.values import Properties, from_struct, has_secret, to_struct

_WORKERS: Final = 256  # each registration holds one for as long as its step takes
_FEATURES: Final = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
)
_FEATURE_NAMES: Final = frozenset({"secrets", "deletedWith", "resourceHooks", "errorHooks"})
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", 1024 * 1024 * 400),
    ("grpc.max_send_message_length", 1024 * 1024 * 400),
]


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Each call runs in a thread of its own, and blocks the program's side until the step is done."""

    def __init__(
        self,
        project: Project,
        deployment: Deployment,
        hooks: Hooks,
        display: Display,
        *,
        stack_outputs: Callable[[str], Properties],
        dry_run: bool,
    ) -> None:
        self._project = project
        self._deployment = deployment
        self._hooks = hooks
        self._display = display
        self._stack_outputs = stack_outputs
        self._dry_run = dry_run
        self.program_done = threading.Event()
        self.may_leave = threading.Event()

    def GetDeploymentInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> resource_pb2.DeploymentInfo:
        del request, context
        return resource_pb2.DeploymentInfo(
            project=self._project.name,
            stack=self._project.stack,
            organization="organization",
            config=self._project.config,
            configSecretKeys=sorted(self._project.secret_keys),
            dryRun=self._dry_run,
            supportedFeatures=_FEATURES,
        )

    def SupportsFeature(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.SupportsFeatureResponse:
        del context
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _FEATURE_NAMES)

    def RegisterResource(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.RegisterResourceResponse:
        urn = make_urn(self._project.stack, self._project.name, request.parent, request.type, request.name)
        reason = unsupported(request)
        if reason:
            self._display.error(reason, urn)
            _stop(context)
        try:
            answer = self._deployment.register(goal_of(request, urn))
        except (ResourceError, CancelledError):
            # The program ends with this answer; what is at work may still need its hooks.
            self._deployment.wait_until_idle()
            _stop(context)
        except Exception as error:  # noqa: BLE001 - a fault of the engine itself must stop the run, and be seen
            self._display.error(f"localcloud's engine failed: {type(error).__name__}: {error}", urn)
            _stop(context)
        return resource_pb2.RegisterResourceResponse(
            urn=answer.urn,
            id=answer.id,
            object=to_struct(answer.outputs or {}),
            stable=False,
            unknown=answer.unknown,
        )

    def RegisterResourceOutputs(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        del context
        self._deployment.register_outputs(request.urn, from_struct(request.outputs))
        return empty_pb2.Empty()

    def ReadResource(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.ReadResourceResponse:
        urn = make_urn(self._project.stack, self._project.name, request.parent, request.type, request.name)
        if request.type != "pulumi:pulumi:StackReference":
            self._display.error("reading existing resources (.get) is not known to localcloud's engine", urn)
            _stop(context)
        properties = self._read_stack(str(from_struct(request.properties).get("name", request.id)), context)
        return resource_pb2.ReadResourceResponse(urn=urn, id=properties["name"], properties=to_struct(properties))

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.ResourceInvokeResponse:
        """Only reading a stack's outputs is known, as Pulumi's built-in provider does it."""
        if request.tok != "pulumi:pulumi:readStackOutputs":
            self._display.error(f"function {request.tok}: functions are not known to localcloud's engine")
            _stop(context)
        properties = self._read_stack(str(from_struct(request.args).get("name", "")), context)
        answer = resource_pb2.ResourceInvokeResponse()
        getattr(answer, "return").CopyFrom(to_struct(properties))  # the field's name is a keyword of Python
        return answer

    def _read_stack(self, name: str, context: grpc.ServicerContext) -> Properties:
        try:
            outputs = self._stack_outputs(name)
        except EngineError as error:
            self._display.error(str(error))
            _stop(context)
        secret = sorted(key for key, value in outputs.items() if has_secret(value))
        return {"name": name, "outputs": outputs, "secretOutputNames": secret}

    def Call(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        self._display.error(f"method {request.tok}: methods are not known to localcloud's engine")
        _stop(context)

    def RegisterResourceHook(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        _register(self._hooks.register, request, context)
        return empty_pb2.Empty()

    def RegisterErrorHook(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        _register(self._hooks.register_error_hook, request, context)
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The program is done; it stays, because deletions may still need its hooks."""
        del request, context
        self.program_done.set()
        self.may_leave.wait()
        return empty_pb2.Empty()


class EngineService(engine_pb2_grpc.EngineServicer):
    """Shows what the program logs."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._root = ""

    def Log(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        del context
        if request.severity == engine_pb2.ERROR:
            self._display.error(request.message, request.urn)
        elif request.severity == engine_pb2.WARNING:
            self._display.warning(request.message, request.urn)
        elif request.severity == engine_pb2.INFO:
            self._display.info(request.message, request.urn)
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: grpc.ServicerContext) -> engine_pb2.GetRootResourceResponse:
        del request, context
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: grpc.ServicerContext) -> engine_pb2.SetRootResourceResponse:
        del context
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request: Any, context: grpc.ServicerContext) -> Any:
        # Whatever version is asked for: this engine speaks for the SDK that is installed beside it.
        del request, context
        return engine_pb2.RequirePulumiVersionResponse()


def serve(monitor: Monitor, engine: EngineService) -> tuple[grpc.Server, str]:
    """A running server on loopback, and its address."""
    server = grpc.server(ThreadPoolExecutor(_WORKERS, "monitor"), options=_OPTIONS)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


def _register(register: Callable[[Any], None], request: Any, context: grpc.ServicerContext) -> None:
    try:
        register(request)
    except HookError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def _stop(context: grpc.ServicerContext) -> NoReturn:
    # UNAVAILABLE is what the SDK takes for "the engine stops here": it ends the program without a traceback.
    context.abort(grpc.StatusCode.UNAVAILABLE, "the engine has stopped")
    raise AssertionError
