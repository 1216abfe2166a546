from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from provisioning.errors import CloudApiError, SwitchoverError
from provisioning.traffic.replacement import check_image_exists


def cloud(images: dict[str, Any] | CloudApiError) -> Any:
    def call(service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert (service, action, parameters) == ("cvm", "DescribeImages", {"ImageIds": ["img-1"]})
        if isinstance(images, CloudApiError):
            raise images
        return images

    return call


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        pytest.param({"ImageSet": []}, "img-1 does not exist", id="an empty list"),
        pytest.param(
            CloudApiError("DescribeImages: [InvalidImageId.NotFound] gone"), "img-1 does not exist", id="a code"
        ),
        pytest.param(
            {"ImageSet": [{"ImageId": "img-1", "ImageState": "DELETING"}]}, "the state DELETING", id="a state"
        ),
    ],
)
def test_a_node_whose_image_is_gone_is_not_replaced(images: dict[str, Any] | CloudApiError, reason: str) -> None:
    with pytest.raises(SwitchoverError, match=f"iam-b cannot be replaced: .*{reason}.*; nothing was changed"):
        check_image_exists(cloud(images), "iam-b", "img-1")


@pytest.mark.parametrize(
    "images",
    [
        pytest.param({"ImageSet": [{"ImageId": "img-1", "ImageState": "NORMAL"}]}, id="the image exists"),
        pytest.param(CloudApiError("DescribeImages: [AuthFailure] no"), id="no permission"),
    ],
)
def test_other_nodes_are_replaced(images: Any) -> None:
    check_image_exists(cloud(images), "iam-b", "img-1")
