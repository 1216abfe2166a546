"""The settings of one stack: all sections below `tandem:`, and values derived from the stack."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from settings.access import AccessSettings
from settings.alarms import AlarmsSettings
from settings.base import FrozenModel
from settings.credentials import CredentialsSettings
from settings.data import DataLocation, DataSettings
from settings.domains import DnsSettings, DomainsSettings
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.network import NetworkSettings
from settings.nginx import NginxSettings
from settings.nodes import NodesSettings
from settings.notifications import NotificationsSettings
from settings.releases import Bundle, Release
from settings.rollout import RolloutSettings
from settings.services import ServiceName, ServiceSettings
from settings.system import SystemSettings
from settings.virtual_ip import VirtualIpSettings

# Document 651/13354: Chinese and English letters, digits, these marks, and spaces except at the start and end.
_TAG_MARK = r"[0-9A-Za-z\u4e00-\u9fff+\-=._:/@()\[\],;><＋－＝／＠（）【】：]"
_TAG_TEXT = re.compile(rf"{_TAG_MARK}(?:(?:{_TAG_MARK}| )*{_TAG_MARK})?")


def _tag_text(max_length: int) -> BeforeValidator:
    def check(value: Any) -> str:
        # YAML parses `ticket: 4711` as a number. It also parses `1.10` and `yes`, whose original text is then lost.
        text = str(value) if type(value) is int else value
        if not isinstance(text, str):
            raise ValueError(f"must be text, in quotes (got {value!r})")  # noqa: TRY004 - pydantic's contract
        if not 1 <= len(text) <= max_length or not _TAG_TEXT.fullmatch(text):
            raise ValueError(
                f"must consist of 1 to {max_length} Chinese or English letters, digits, "
                f"+ - = . _ : / @ ( ) [ ] , ; > < and inner spaces (got {text!r})"
            )
        return text

    return BeforeValidator(check)


TagKey = Annotated[str, _tag_text(127)]
TagValue = Annotated[str, _tag_text(255)]


class Sections(FrozenModel):
    """The keys of a stack's file below `tandem:`."""

    network: NetworkSettings = Field(description="The VPC and the subnet of the nodes.")
    nodes: NodesSettings = Field(description="The nodes of the group (CVM instances).")
    access: AccessSettings = Field(description="SSH access to the nodes.")
    domains: DomainsSettings | None = Field(
        default=None, description="The public host names of the IAM services. Required with `iam.enabled: true`."
    )
    virtual_ip: VirtualIpSettings = Field(
        default=VirtualIpSettings(), description="The virtual IP that the eligible nodes share, and its public address."
    )
    dns: DnsSettings = Field(default=DnsSettings(), description="DNS records for the domains.")
    alarms: AlarmsSettings = Field(default=AlarmsSettings(), description="Alarm policies and their receivers.")
    credentials: CredentialsSettings = Field(default=CredentialsSettings(), description="Certificates and secrets.")
    nginx: NginxSettings = Field(default=NginxSettings(), description="The reverse proxy and load balancer.")
    keepalived: KeepalivedSettings = Field(
        default=KeepalivedSettings(), description="Failover of the virtual IP with keepalived."
    )
    notifications: NotificationsSettings = Field(
        default=NotificationsSettings(), description="Who is told about each change of master and each fault."
    )
    iam: IamSettings = Field(default=IamSettings(), description="The IAM services.")
    services: dict[ServiceName, ServiceSettings] = Field(
        default_factory=dict,
        description="Your own services, by name (docs/services.md). Each runs as the unit `app-NAME`; a location of "
        "a site sends requests to it.",
    )
    data: DataSettings = Field(default=DataSettings(), description="The databases.")
    system: SystemSettings = Field(default=SystemSettings(), description="The operating system of the nodes.")
    rollout: RolloutSettings = Field(default=RolloutSettings(), description="How changes reach the nodes.")
    tags: dict[TagKey, TagValue] = Field(
        default_factory=dict,
        description="Up to 6 tags for all resources that support tags, in addition to `pulumi-project`, "
        "`pulumi-stack`, `managed-by` and `node`.",
    )
    protect: bool = Field(
        default=False,
        description="Protect the resources that hold data or addresses from deletion (docs/operations.md).",
    )


class Settings(Sections):
    """All settings of one stack, validated."""

    project: str
    stack: str
    file: str  # with the settings, as named in error messages
    region: str
    release: Release | None  # of the IAM services, as set by `iam.release`; None: `iam.enabled` is false
    bundles: dict[str, Bundle]  # by setting: "services.web"

    @property
    def data_location(self) -> DataLocation:
        """Where the databases run. Without the IAM services nothing uses them, and the group has no data disk."""
        unused = not self.iam.enabled and self.data.location is DataLocation.FIRST_NODE
        return DataLocation.EXTERNAL if unused else self.data.location

    @property
    def bucket_role(self) -> str | None:
        """The CAM role with which the first node uploads backups."""
        bucket = self.data.backup.bucket
        return bucket.role if bucket is not None and self.data_location is DataLocation.FIRST_NODE else None
