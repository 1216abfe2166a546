"""The providers that this engine has."""

from __future__ import annotations

from localcloud.engine.project import Project
from localcloud.engine.providers.certificates import TLS_TYPES
from localcloud.engine.providers.dynamic import DynamicProvider
from localcloud.engine.providers.local import LocalProvider
from localcloud.engine.providers.random import RANDOM_TYPES
from localcloud.engine.providers.registry import Providers
from localcloud.engine.tencent.api import Api, find_endpoint
from localcloud.engine.tencent.kinds import KINDS
from localcloud.engine.tencent.provider import TencentProvider


def make_providers(project: Project) -> Providers:
    """Nothing is started or called until a resource needs it."""
    return Providers(
        {
            "pulumi-python": DynamicProvider(project),
            "tencentcloud": TencentProvider(KINDS, lambda: Api(find_endpoint(project.namespaced("tencentcloud")))),
            "random": LocalProvider(RANDOM_TYPES),
            "tls": LocalProvider(TLS_TYPES),
        }
    )
