"""Derive what the infrastructure needs to boot an instance from the instance's records."""

from __future__ import annotations

import base64
import json

from localcloud import infrastructure
from localcloud.rules import disk, instance, interface, key_pair, subnet
from localcloud.rules.transaction import Transaction


def machine_spec(tx: Transaction, found: instance.Instance) -> infrastructure.MachineSpec:
    eni = interface.get(tx, found.interface_id)
    disks = disk.of_instance(tx, found.id)
    keys = [tx.find(key_pair.KeyPair, key_id) for key_id in found.key_ids]
    return infrastructure.MachineSpec(
        instance_id=found.id,
        name=found.name,
        hostname=found.hostname,
        uuid=found.uuid,
        region=found.region,
        zone=found.zone,
        image_id=found.image_id,
        instance_type=found.instance_type,
        cpu=found.type.cpu,
        memory_mib=found.type.memory_gib * 1024,
        system_disk=infrastructure.Disk(found.system_disk_id, disk.get(tx, found.system_disk_id).size_gib),
        data_disks=tuple(
            infrastructure.Disk(one.id, one.size_gib)
            for one in disks
            if one.usage == "DATA_DISK" and one.state == "ATTACHED"
        ),
        vpc_id=found.vpc_id,
        subnet_id=found.subnet_id,
        interface=infrastructure_interface(eni),
        public_keys=tuple(key.public_key for key in keys if key is not None),
        user_data=base64.b64decode(found.user_data),
        metadata=_metadata(tx, found, eni),
    )


def infrastructure_interface(eni: interface.Interface) -> infrastructure.Interface:
    return infrastructure.Interface(
        interface_id=eni.id, instance_id=eni.instance_id, mac=eni.mac, address=eni.address, group_ids=eni.group_ids
    )


def _metadata(tx: Transaction, found: instance.Instance, eni: interface.Interface) -> dict[str, str]:
    """Map the paths below /latest/meta-data/ that the specification does not determine, as in the real service."""
    place = subnet.get(tx, found.subnet_id)
    address_path = f"network/interfaces/macs/{eni.mac}/local-ipv4s/{eni.address}"
    return {
        "instance-name": found.name,
        "uuid": found.uuid,
        "app-id": "1250000000",
        "payment/charge-type": found.charge_type,
        "payment/create-time": "",
        "instance/security-group": ",".join(eni.group_ids),
        f"{address_path}/gateway": str(place.gateway),
        f"{address_path}/subnet-mask": str(place.cidr.netmask),
        **_role(found),
    }


def _role(found: instance.Instance) -> dict[str, str]:
    """The temporary key of the instance's CAM role (213/4934), from its next start on. No emulated service takes it."""
    key = {"TmpSecretId": f"AKID{found.id}", "TmpSecretKey": found.uuid, "Token": found.uuid, "Code": "Success"}
    return {f"cam/security-credentials/{found.cam_role_name}": json.dumps(key)} if found.cam_role_name else {}
