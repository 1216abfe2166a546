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

    network: Annotated[NetworkSettings, Field(description="The VPC and subnet.")]
    nodes: Annotated[NodesSettings, Field(description="The CVMs of the group.")]
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
        dict[TagKey, TagValue],
        Field(
            description="Up to 6 tags for everything that can have tags, beside `pulumi-project`, `pulumi-stack`, "
            "`managed-by` and `node`."
        ),
    ] = Field(default_factory=dict)
    protect: Annotated[
        bool, Field(description="Protect what holds data or addresses from deletion (see README: unprotect).")
    ] = False


class Settings(Sections):
    """All of one stack's settings; a wrong value cannot exist here."""

    project: str
    stack: str
    file: str  # where they stand
    region: str
    release: Release  # of the IAM services, found by `iam.release`
