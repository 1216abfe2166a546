"""The catalog: regions, zones, instance types and images."""

from __future__ import annotations

from localcloud.rules.catalog import INSTANCE_TYPES, ZONES, Image, InstanceType
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import UnknownInstanceFilter, page
from localcloud.services.parameters import Parameters


def _image(image: Image) -> Answer:
    return {
        "ImageId": image.image_id,
        "OsName": image.os_name,
        "ImageType": "PUBLIC_IMAGE",
        "CreatedTime": "2026-01-01T00:00:00Z",
        "ImageName": image.name,
        "ImageDescription": image.description,
        "ImageSize": image.size_gib,
        "Architecture": "x86_64",
        "ImageState": "NORMAL",
        "Platform": image.platform,
        "ImageSource": "OFFICIAL",
        "IsSupportCloudinit": True,
    }


def _values(call: Call, known: tuple[str, ...]) -> dict[str, set[str]]:
    requested: dict[str, set[str]] = {}
    for entry in call.parameters.each("Filters"):
        name = entry.text("Name")
        if name not in known:
            raise UnknownInstanceFilter(got=name, known=", ".join(known))
        requested[name] = set(entry.texts("Values"))
    return requested


@action("cvm", "DescribeImages", UnknownInstanceFilter)
def describe_images(call: Call, given: Parameters) -> Answer:
    """List images."""
    rows = [_image(image) for image in call.tx.images]
    requested_ids = given.texts("ImageIds")
    rows = [row for row in rows if not requested_ids or row["ImageId"] in requested_ids]
    fields = {"image-id": "ImageId", "image-type": "ImageType", "image-name": "ImageName", "platform": "Platform"}
    for name, values in _values(call, tuple(fields)).items():
        rows = [row for row in rows if row[fields[name]] in values]
    return {"TotalCount": len(rows), "ImageSet": list(page(call, rows))}


def _offers(call: Call) -> list[tuple[str, InstanceType]]:
    requested = _values(call, ("zone", "instance-family", "instance-type", "instance-charge-type"))
    return [
        (zone, kind)
        for zone in ZONES[call.region]
        if not requested.get("zone") or zone in requested["zone"]
        for kind in INSTANCE_TYPES.values()
        if not requested.get("instance-family") or kind.family in requested["instance-family"]
        if not requested.get("instance-type") or kind.name in requested["instance-type"]
    ]


@action("cvm", "DescribeZoneInstanceConfigInfos", UnknownInstanceFilter)
def describe_zone_instance_config_infos(call: Call, _given: Parameters) -> Answer:
    """List the available instance types of each zone. Prices are not emulated: they are 0."""
    rows = [
        {
            "Zone": zone,
            "InstanceType": kind.name,
            "InstanceChargeType": "POSTPAID_BY_HOUR",
            "NetworkCard": 0,
            "Cpu": kind.cpu,
            "Memory": kind.memory_gib,
            "InstanceFamily": kind.family,
            "TypeName": f"Standard {kind.family}",
            "LocalDiskTypeList": [],
            "Status": "SELL",
        }
        for zone, kind in _offers(call)
    ]
    return {"InstanceTypeQuotaSet": rows}
