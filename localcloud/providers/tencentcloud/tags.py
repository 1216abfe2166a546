"""Tags: set in some create calls, read and changed through the tag service."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.providers.tencentcloud.api import Api
from localcloud.providers.values import Properties

_PAGE = 20


def as_list(tags: Mapping[str, str] | None) -> list[dict[str, str]] | None:
    return [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())] or None


def specification(resource: str, tags: Mapping[str, str] | None) -> list[dict[str, object]] | None:
    listed = as_list(tags)
    return [{"ResourceType": resource, "Tags": listed}] if listed else None


def read(api: Api, kind: str, resource_id: str) -> dict[str, str]:
    """Return the tags. `kind` is the service and the resource prefix, such as "cvm/instance"."""
    service, prefix = kind.split("/")
    found: dict[str, str] = {}
    offset = 0
    while True:
        answer = api.call(
            "tag",
            "DescribeResourceTagsByResourceIds",
            {
                "ServiceType": service,
                "ResourcePrefix": prefix,
                "ResourceIds": [resource_id],
                "ResourceRegion": api.region,
                "Offset": offset,
                "Limit": _PAGE,
            },
        )
        rows = answer.get("Tags") or []
        found |= {row["TagKey"]: row["TagValue"] for row in rows if row["ResourceId"] == resource_id}
        if len(rows) < _PAGE:
            return found
        offset += _PAGE


def change(api: Api, kind: str, resource_id: str, old: Properties, new: Properties) -> None:
    """Change the tags to those of the new inputs. Makes no call if they are equal."""
    service, prefix = kind.split("/")
    before, after = old.get("tags") or {}, new.get("tags") or {}
    replaced = [{"TagKey": key, "TagValue": value} for key, value in after.items() if before.get(key) != value]
    deleted = [{"TagKey": key} for key in before if key not in after]
    if replaced or deleted:
        api.call(
            "tag",
            "ModifyResourceTags",
            {
                "Resource": f"qcs::{service}:{api.region}:uin/:{prefix}/{resource_id}",
                "ReplaceTags": replaced or None,
                "DeleteTags": deleted or None,
            },
        )
