"""What the metadata service answers to an instance with a CAM role."""

from __future__ import annotations

import json

from localcloud.infrastructure import MachineSpec, NoInfrastructure
from localcloud.machines.metadata import answer
from tests.localcloud.api.lab import Direct, running_cloud
from tests.localcloud.api.place import Place

PATH = "/latest/meta-data/cam/security-credentials/"


class Started(NoInfrastructure):
    """Keeps the specification with which each machine was started last."""

    def __init__(self) -> None:
        super().__init__()
        self.specs: dict[str, MachineSpec] = {}

    def start_machine(self, spec: MachineSpec) -> None:
        super().start_machine(spec)
        self.specs[spec.instance_id] = spec


def test_an_instance_gets_the_temporary_key_of_its_role_only() -> None:
    infrastructure = Started()
    with running_cloud(infrastructure=infrastructure) as cloud:
        place = Place.build(Direct(cloud))
        with_role, without = place.machine(CamRoleName="uploads"), place.machine()
        spec = infrastructure.specs[with_role]
        key = json.loads(answer(f"{PATH}uploads", spec, None) or b"")
        assert (key["Code"], set(key)) == ("Success", {"Code", "TmpSecretId", "TmpSecretKey", "Token"})
        assert answer(PATH, spec, None) == b"uploads"
        assert answer(f"{PATH}another", spec, None) is None
        assert answer(PATH, infrastructure.specs[without], None) is None


def test_a_role_that_is_given_later_is_served_after_the_next_start() -> None:
    infrastructure = Started()
    with running_cloud(infrastructure=infrastructure) as cloud:
        call = Direct(cloud)
        instance_id = Place.build(call).machine()
        call("cvm:ModifyInstancesAttribute", InstanceIds=[instance_id], CamRoleName="uploads")
        for action in ("StopInstances", "StartInstances"):
            call(f"cvm:{action}", InstanceIds=[instance_id])
            call.settle()
        assert answer(PATH, infrastructure.specs[instance_id], None) == b"uploads"
