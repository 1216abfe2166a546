"""SSH key pairs."""

from __future__ import annotations

from localcloud.rules import instance, instance_change, instance_state, key_pair, references
from localcloud.rules.key_pair import KeyPair
from localcloud.rules.records import changed, iso_time
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownInstanceFilter, listed
from localcloud.services.parameters import Parameters

_NAMES = (
    key_pair.KeyPairNameEmpty,
    key_pair.KeyPairNameTooLong,
    key_pair.KeyPairNameIllegal,
    key_pair.KeyPairNameTaken,
)


def _show(call: Call, pair: KeyPair, private_key: str = "") -> Answer:
    return {
        "KeyId": pair.id,
        "KeyName": pair.name,
        "ProjectId": pair.project_id,
        "Description": pair.description,
        "PublicKey": pair.public_key,
        "PrivateKey": private_key,
        "CreatedTime": iso_time(pair.created),
        "AssociatedInstanceIds": references.users(call.tx, pair),
        "Tags": tagging.shown(call, pair.id),
    }


@action(
    "cvm",
    "ImportKeyPair",
    *_NAMES,
    key_pair.PublicKeyMalformed,
    key_pair.PublicKeyTaken,
    key_pair.KeyPairQuota,
    *tagging.MACHINE_RULES,
)
def import_key_pair(call: Call, given: Parameters) -> Answer:
    """Import a public key."""
    name, public_key = given.text("KeyName"), given.text("PublicKey")
    requested = KeyPair(name=name, public_key=public_key, project_id=given.integer_or("ProjectId", 0))
    return {"KeyId": key_pair.create(call.tx, requested, tagging.specified(given, "keypair")).id}


@action("cvm", "CreateKeyPair", *_NAMES, key_pair.KeyPairQuota, *tagging.MACHINE_RULES)
def create_key_pair(call: Call, given: Parameters) -> Answer:
    """Create a key pair. Only this response contains the private key."""
    from localcloud.rules.rsa_keys import make_rsa_pair  # noqa: PLC0415 - slow to import and rarely needed

    name = given.text("KeyName")
    private, public = make_rsa_pair()
    requested = KeyPair(name=name, public_key=public, project_id=given.integer("ProjectId"))
    pair = key_pair.create(call.tx, requested, tagging.specified(given, "keypair"))
    return {"KeyPair": _show(call, pair, private)}


@action("cvm", "DescribeKeyPairs", key_pair.KeyPairIdMalformed, UnknownInstanceFilter)
def describe_key_pairs(call: Call, _given: Parameters) -> Answer:
    """List key pairs."""
    filters: Filters[KeyPair] = {"project-id": lambda one: [str(one.project_id)], "key-name": lambda one: [one.name]}
    return listed(call, "KeyPairSet", KeyPair, _show, filters, ids="KeyIds", refusal=UnknownInstanceFilter)


@action(
    "cvm",
    "ModifyKeyPairAttribute",
    key_pair.KeyPairNotFound,
    key_pair.KeyPairIdMalformed,
    *_NAMES,
    key_pair.KeyPairUnchanged,
    key_pair.KeyPairDescriptionTooLong,
)
def modify_key_pair_attribute(call: Call, given: Parameters) -> None:
    """Change the name or description of a key pair."""
    present = key_pair.get(call.tx, given.text("KeyId"))
    if "KeyName" not in given and "Description" not in given:
        raise key_pair.KeyPairUnchanged
    name, description = given.find_text("KeyName"), given.find_text("Description")
    key_pair.change(call.tx, present, changed(present, {"name": name, "description": description}))


@action("cvm", "DeleteKeyPairs", key_pair.KeyPairNotFound, key_pair.KeyPairIdMalformed, key_pair.KeyPairInUse)
def delete_key_pairs(call: Call, given: Parameters) -> None:
    """Delete unused key pairs."""
    for key_id in given.required_texts("KeyIds"):
        key_pair.delete(call.tx, key_id)


@action(
    "cvm",
    "AssociateInstancesKeyPairs",
    instance.InstanceNotFound,
    key_pair.KeyPairNotFound,
    instance_state.InstanceBusy,
    instance_state.InstanceIsRunning,
    instance_state.StoppedWithoutCharge,
)
def associate_instances_key_pairs(call: Call, given: Parameters) -> None:
    """Associate key pairs with instances. Running instances require ForceStop."""
    instance_change.associate_keys(
        call.tx, given.required_texts("InstanceIds"), given.required_texts("KeyIds"), force=given.flag("ForceStop")
    )


@action(
    "cvm",
    "DisassociateInstancesKeyPairs",
    instance.InstanceNotFound,
    instance_change.KeyNotOnInstance,
    instance_state.InstanceBusy,
    instance_state.InstanceIsRunning,
    instance_state.StoppedWithoutCharge,
)
def disassociate_instances_key_pairs(call: Call, given: Parameters) -> None:
    """Remove key pairs from instances. Running instances require ForceStop."""
    instance_change.disassociate_keys(
        call.tx, given.required_texts("InstanceIds"), given.required_texts("KeyIds"), force=given.flag("ForceStop")
    )
