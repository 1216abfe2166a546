"""The settings of one stack: read once, checked as a whole, frozen. The only reader of `pulumi.Config`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Self

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret
from pydantic import Field

from provisioning.errors import ProvisioningError
from provisioning.releases import Release, find_release
from provisioning.settings.base import FrozenModel
from provisioning.settings.data import DataSettings
from provisioning.settings.iam import IamSettings
from provisioning.settings.keepalived import KeepalivedSettings
from provisioning.settings.nginx import NginxSettings
from stacks.access import AccessSettings
from stacks.alarms import AlarmsSettings
from stacks.credentials import CredentialsSettings
from stacks.machines import MachinesSettings
from stacks.network import NetworkSettings
from stacks.parsing import parse_sections
from stacks.problems import Problem, SettingsError
from stacks.rules import find_contradictions
from stacks.virtual_ip import DnsSettings, DomainsSettings, VirtualIpSettings

_NAMESPACE = "tandem"
# Pulumi's own key: the provider reads it too, so that the two cannot differ.
_REGION = "tencentcloud:region"
# Set by `tandem --config-file`: Pulumi does not tell a program which file it has read.
_FILE = "TANDEM_CONFIG_FILE"
_TAG_TEXT = r"^[A-Za-z0-9_.:/+=@-]{1,127}$"


class Sections(FrozenModel):
    """What a stack's file may say below `tandem:`."""

    network: Annotated[NetworkSettings, Field(description="The VPC and subnet.")]
    machines: Annotated[MachinesSettings, Field(description="The servers.")]
    access: Annotated[AccessSettings, Field(description="SSH.")]
    domains: Annotated[DomainsSettings, Field(description="The names that clients ask for.")]
    virtual_ip: Annotated[VirtualIpSettings, Field(description="The shared address.")] = VirtualIpSettings()
    dns: Annotated[DnsSettings, Field(description="Records for the domains.")] = DnsSettings()
    alarms: Annotated[AlarmsSettings, Field(description="What is watched, and who is told.")] = AlarmsSettings()
    credentials: Annotated[CredentialsSettings, Field(description="Certificates and secrets.")] = CredentialsSettings()
    nginx: Annotated[NginxSettings, Field(description="The reverse proxy and load balancer.")] = NginxSettings()
    keepalived: Annotated[KeepalivedSettings, Field(description="Who holds the virtual IP.")] = KeepalivedSettings()
    iam: Annotated[IamSettings, Field(description="The IAM services.")] = IamSettings()
    data: Annotated[DataSettings, Field(description="The databases.")] = DataSettings()
    tags: Annotated[
        dict[Annotated[str, Field(pattern=_TAG_TEXT)], Annotated[str, Field(pattern=_TAG_TEXT)]],
        Field(
            description="Tags for everything that can have tags, beside `pulumi-project`, `pulumi-stack`, `managed-by`."
        ),
    ] = Field(default_factory=dict)
    protect: Annotated[
        bool, Field(description="Protect what holds data or addresses from deletion (see README: unprotect).")
    ] = False


@dataclass(frozen=True, slots=True)
class Stack:
    """Which stack it is."""

    project: str
    name: str
    region: str | None
    given_file: str | None = None  # instead of the stack's own

    @property
    def file(self) -> str:
        """Where its settings stand, as a person would look for it."""
        return self.given_file or f"Pulumi.{self.name}.yaml"


class Settings(Sections):
    """All of one stack's settings; a wrong value cannot exist here."""

    project: str
    stack: str
    file: str  # where they stand
    region: str
    release: Release  # of the IAM services, found by `iam.release`

    @property
    def has_local_data(self) -> bool:
        """Whether the first machine holds the databases."""
        return not self.data.external

    @property
    def has_former_data(self) -> bool:
        """Whether it held them, and their disk is kept."""
        return self.data.external and self.machines.data_disk.keep

    @classmethod
    def load(cls) -> Self:
        """Read the current stack's configuration. Raises SettingsError with every problem."""
        raw = {
            key.partition(":")[2]: value for key, value in _configuration().items() if key.startswith(f"{_NAMESPACE}:")
        }
        secret = frozenset(key for key in raw if is_config_secret(f"{_NAMESPACE}:{key}"))
        region = pulumi.Config("tencentcloud").get("region")
        stack = Stack(pulumi.get_project(), pulumi.get_stack(), region, os.environ.get(_FILE))
        return cls.parse(stack, raw, secret)

    @classmethod
    def parse(
        cls,
        stack: Stack,
        raw: Mapping[str, object],
        secret: frozenset[str] = frozenset(),
        find_release: Callable[[str], Release] = find_release,
    ) -> Self:
        """Check raw values, by section. `secret` names the sections that Pulumi keeps encrypted."""
        parsed = parse_sections(Sections, {key: _decoded(value) for key, value in raw.items()}, _NAMESPACE)
        facts = {**parsed.sections, "region": stack.region, "secret": secret}
        problems = [*parsed.problems, *find_contradictions(facts)]
        if stack.region is None:
            problems.append(Problem(_REGION, "is missing; what for: the region of every resource, e.g. ap-guangzhou"))
        release: Release | None = None
        if "iam" in parsed.sections:
            try:
                release = find_release(parsed.sections["iam"].release)
            except ProvisioningError as error:
                problems.append(Problem(f"{_NAMESPACE}:iam.release", error.message))
            data = parsed.sections.get("data")
            if release is not None and release.stand_in and data is not None and data.mongodb is not None:
                wanted = "needs a real release (tandem:iam.release): the stand-in's iam-pump writes csv files alone"
                problems.append(Problem(f"{_NAMESPACE}:data.mongodb", wanted))
        if problems:
            raise SettingsError(stack.file, tuple(problems))
        return cls.model_construct(
            project=stack.project,
            stack=stack.name,
            file=stack.file,
            region=stack.region,
            release=release,
            **parsed.sections,
        )


def _configuration() -> dict[str, object]:
    """Every key of the stack. `pulumi.Config` reads only keys that one can name, and would hide a misspelt one."""
    return {**get_config_env(), **CONFIG.get()}


def _decoded(value: object) -> object:
    """Pulumi hands mappings and lists over as JSON text."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            # Not what Pulumi writes; the section says what it wants instead.
            return value
    return value
