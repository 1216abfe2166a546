"""The settings of one stack: every section below `tandem:`, and what the stack itself adds to them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from settings.access import AccessSettings
from settings.alarms import AlarmsSettings
from settings.base import FrozenModel
from settings.credentials import CredentialsSettings
from settings.data import DataSettings
from settings.domains import DnsSettings, DomainsSettings
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.network import NetworkSettings
from settings.nginx import NginxSettings
from settings.nodes import NodesSettings
from settings.releases import Release
from settings.virtual_ip import VirtualIpSettings

# Document 651/13354: Chinese and English letters, digits, these marks, and spaces but at an end.
_TAG_MARK = r"[0-9A-Za-z\u4e00-\u9fff+\-=._:/@()\[\],;><＋－＝／＠（）【】：]"
_TAG_TEXT = re.compile(rf"{_TAG_MARK}(?:(?:{_TAG_MARK}| )*{_TAG_MARK})?")


def _tag_text(most: int) -> BeforeValidator:
    def check(value: Any) -> str:
        # YAML reads `ticket: 4711` as a number; of `1.10` and `yes` it forgets what was written.
        text = str(value) if type(value) is int else value
        if not isinstance(text, str):
            raise ValueError(f"{value!r} is no text; put it in quotes")  # noqa: TRY004 - pydantic's contract
        if not 1 <= len(text) <= most or not _TAG_TEXT.fullmatch(text):
            raise ValueError(
                f"{text!r} cannot be in a tag, which takes 1 to {most} Chinese or English letters, digits, "
                "+ - = . _ : / @ ( ) [ ] , ; > < and, but at an end, spaces"
            )
        return text

    return BeforeValidator(check)


TagKey = Annotated[str, _tag_text(127)]
TagValue = Annotated[str, _tag_text(255)]


class Sections(FrozenModel):
    """What a stack's file may say below `tandem:`."""

    network: NetworkSettings = Field(description="The VPC and subnet.")
    nodes: NodesSettings = Field(description="The CVMs of the group.")
    access: AccessSettings = Field(description="SSH.")
    domains: DomainsSettings = Field(description="The names that clients ask for.")
    virtual_ip: VirtualIpSettings = Field(default=VirtualIpSettings(), description="The shared address.")
    dns: DnsSettings = Field(default=DnsSettings(), description="Records for the domains.")
    alarms: AlarmsSettings = Field(default=AlarmsSettings(), description="What is watched, and who is told.")
    credentials: CredentialsSettings = Field(default=CredentialsSettings(), description="Certificates and secrets.")
    nginx: NginxSettings = Field(default=NginxSettings(), description="The reverse proxy and load balancer.")
    keepalived: KeepalivedSettings = Field(default=KeepalivedSettings(), description="Who holds the virtual IP.")
    iam: IamSettings = Field(default=IamSettings(), description="The IAM services.")
    data: DataSettings = Field(default=DataSettings(), description="The databases.")
    tags: dict[TagKey, TagValue] = Field(
        default_factory=dict,
        description="Up to 6 tags for everything that can have tags, beside `pulumi-project`, `pulumi-stack`, "
        "`managed-by` and `node`.",
    )
    protect: bool = Field(
        default=False, description="Protect what holds data or addresses from deletion (see README: unprotect)."
    )


class Settings(Sections):
    """All of one stack's settings; a wrong value cannot exist here."""

    project: str
    stack: str
    file: str  # where they stand
    region: str
    release: Release  # of the IAM services, found by `iam.release`
