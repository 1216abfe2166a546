"""Checks before a node is deleted to be created again: after the deletion, the group cannot be as before."""

from __future__ import annotations

from collections.abc import Mapping

from provisioning.cloud_calls import CallApi
from provisioning.errors import CloudApiError, SwitchoverError

_AVAILABLE = "NORMAL"  # ImageState
_UNKNOWN_IMAGE = "InvalidImageId"  # prefix of the error codes of DescribeImages


def check_image_exists(call: CallApi, name: str, image: str) -> None:
    """Check that the image exists from which a node is created again: `nodes.image`. Raises SwitchoverError.

    An API that does not respond is not an error.
    """
    try:
        state = _find_state(call, image)
    except CloudApiError:
        return
    if state != _AVAILABLE:
        raise SwitchoverError(
            f"{name} cannot be replaced: the image {image} {state or 'does not exist'}; nothing was changed",
            look_at="tandem:nodes.image; tandem doctor",
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
