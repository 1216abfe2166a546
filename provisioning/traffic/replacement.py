"""Checks before a node is deleted to be created again: after the deletion, the group cannot be as before."""

from __future__ import annotations

from collections.abc import Mapping

from provisioning.cloud_calls import CallApi
from provisioning.errors import CloudApiError, SwitchoverError
from provisioning.inventory import RemoteNode

_AVAILABLE = "NORMAL"  # ImageState
_UNKNOWN_IMAGE = "InvalidImageId"  # prefix of the error codes of DescribeImages


def check_image_exists(call: CallApi, node: RemoteNode, new_image: str | None = None) -> None:
    """Check that the image exists from which a node is created again: by default its own. Raises SwitchoverError.

    An API that does not respond, or a node that does not exist any more, is not an error.
    """
    try:
        image = new_image or _find_image(call, node)
        state = _AVAILABLE if image is None else _find_state(call, image)
    except CloudApiError:
        return
    if state == _AVAILABLE:
        return
    if new_image:
        raise SwitchoverError(
            f"{node.name} cannot be replaced: the image {image} {state or 'does not exist'}; nothing was changed",
            look_at="tandem:nodes.image; tandem doctor",
        )
    raise SwitchoverError(
        f"{node.name} cannot be replaced: its image {image} {state or 'does not exist any more'}; nothing was changed",
        look_at=f"set tandem:nodes.image to another image, then tandem replace {node.name} --new-image",
    )


def _find_image(call: CallApi, node: RemoteNode) -> str | None:
    """The image of the node's instance; None if the instance does not exist any more."""
    found = call("cvm", "DescribeInstances", {"InstanceIds": [node.instance_id]}).get("InstanceSet") or []
    return found[0].get("ImageId") if found else None


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
