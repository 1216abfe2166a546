from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from provisioning.errors import CloudApiError, SwitchoverError
from provisioning.inventory import RemoteNode
from provisioning.traffic.replacement import check_image_exists

NODE = RemoteNode("iam-b", "ins-b", "10.0.4.21", "10.0.4.21", "debian", (), eligible=True)
INSTANCE = {"InstanceSet": [{"ImageId": "img-1"}]}


def cloud(images: dict[str, Any] | CloudApiError, instances: dict[str, Any] | CloudApiError = INSTANCE) -> Any:
    def call(service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        del service, parameters
        answer = {"DescribeInstances": instances, "DescribeImages": images}[action]
        if isinstance(answer, CloudApiError):
            raise answer
        return answer

    return call


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        pytest.param({"ImageSet": []}, "img-1 does not exist any more", id="an empty list"),
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
        check_image_exists(cloud(images), NODE)


@pytest.mark.parametrize(
    ("images", "instances"),
    [
        pytest.param({"ImageSet": [{"ImageId": "img-1", "ImageState": "NORMAL"}]}, INSTANCE, id="the image exists"),
        pytest.param({"ImageSet": []}, {"InstanceSet": []}, id="the instance does not exist any more"),
        pytest.param(CloudApiError("DescribeImages: [AuthFailure] no"), INSTANCE, id="no permission"),
    ],
)
def test_other_nodes_are_replaced(images: Any, instances: Any) -> None:
    check_image_exists(cloud(images, instances), NODE)


def test_a_new_image_must_exist_and_the_present_one_need_not() -> None:
    images = {"ImageSet": [{"ImageId": "img-2", "ImageState": "NORMAL"}]}
    check_image_exists(cloud(images), NODE, "img-2")
    with pytest.raises(SwitchoverError, match="iam-b cannot be replaced: the image img-3 does not exist; nothing was"):
        check_image_exists(cloud(images), NODE, "img-3")


def test_a_missing_image_names_the_command_that_uses_another_one() -> None:
    with pytest.raises(SwitchoverError) as raised:
        check_image_exists(cloud({"ImageSet": []}), NODE)
    assert "tandem replace iam-b --new-image" in (raised.value.look_at or "")
