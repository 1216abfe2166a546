"""Images."""

from __future__ import annotations

from localcloud.rules import instance
from localcloud.rules.catalog import Image
from localcloud.rules.refusal import documented, rule
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import UnknownInstanceFilter, matching, page
from localcloud.services.parameters import Parameters

ImageIdsAndFilters = rule(
    "InvalidParameter.InvalidParameterCoexistImageIdsFilters",
    "A list of images cannot have both IDs and filters.",
    documented("DescribeImages: not both ImageIds and Filters", page="213/15715"),
)


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


@action("cvm", "DescribeImages", instance.ImageIdMalformed, ImageIdsAndFilters, UnknownInstanceFilter)
def describe_images(call: Call, given: Parameters) -> Answer:
    """List images."""
    rows = [_image(image) for image in call.tx.images]
    requested_ids = given.texts("ImageIds")
    for image_id in requested_ids:
        instance.check_image_id(image_id)
    if requested_ids and given.each("Filters"):
        raise ImageIdsAndFilters
    rows = [row for row in rows if not requested_ids or row["ImageId"] in requested_ids]
    fields = {"image-id": "ImageId", "image-type": "ImageType", "image-name": "ImageName", "platform": "Platform"}
    rows = matching(given, rows, fields)
    return {"TotalCount": len(rows), "ImageSet": list(page(call, rows))}
