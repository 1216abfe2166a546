"""The first machine, once the data is elsewhere: nothing may write to a disk that is about to be detached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioning.desired import Thing, Unit
from provisioning.services.data_disk import DATABASES, MOUNT_POINT, mount_unit

if TYPE_CHECKING:
    from provisioning.deployment import Deployment, Machine


def desired(deployment: Deployment, machine: Machine) -> list[Thing]:
    """The databases stop before their directories are unmounted, and these before the disk that they are bound to.

    Their packages and files stay: `data: on-primary` finds them again.
    """
    if not (deployment.former_data and machine == deployment.machines[0]):
        return []
    return [
        *(_off(unit) for _, unit, _ in DATABASES),
        *(_off(mount_unit(path)) for _, _, path in DATABASES),
        _off(mount_unit(MOUNT_POINT)),
    ]


def _off(unit: str) -> Unit:
    return Unit(unit, enabled=False, running=False)
