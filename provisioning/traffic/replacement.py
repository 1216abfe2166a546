"""Checks before a node is deleted to be created again: after the deletion, the group cannot be as before."""

from __future__ import annotations

from collections.abc import Mapping

from provisioning.cloud_calls import CallApi
from provisioning.errors import CloudApiError, SwitchoverError
from provisioning.inventory import RemoteNode

_AVAILABLE = "NORMAL"  # ImageState
_UNKNOWN_IMAGE = "InvalidImageId"  # prefix of the error codes of DescribeImages


def check_image_exists(call: CallApi, node: RemoteNode) -> None:
    """Check that the image of a node still exists; a replaced node is created from it. Raises SwitchoverError.

    An API that does not respond, or a node that does not exist any more, is not an error.
    """
    try:
        found = call("cvm", "DescribeInstances", {"InstanceIds": [node.instance_id]}).get("InstanceSet") or []
        image = found[0].get("ImageId") if found else None
        if image is None:
            return
        state = _find_state(call, image)
    except CloudApiError:
        return
    if state != _AVAILABLE:
        raise SwitchoverError(
            f"{node.name} cannot be replaced: its image {image} {state or 'does not exist any more'}; "
            "nothing was changed",
            look_at='docs/operations.md, "Use a new image": add a node with a new image, then remove this node',
        )


def _find_state(call: CallApi, image: str) -> str:
    try:
        images = call("cvm", "DescribeImages", {"ImageIds": [image]}).get("ImageSet") or []
    except CloudApiError as error:
        if f"[{_UNKNOWN_IMAGE}" in error.message:
            return ""
        raise
    found: Mapping[str, str] | None = next((each for each in images if each.get("ImageId") == image), None)
    return (
        ""
        if found is None
        else f"has the state {found['ImageState']}"
        if found["ImageState"] != _AVAILABLE
        else _AVAILABLE
    )
