"""The machines' long-term host keys, read once over the temporary key that each machine was born with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.credentials import Credentials
from components.failures import without_traceback
from components.hooks import of_machine
from components.machines import Machines, Server
from provisioning.exports import parse_host
from provisioning.host_keys import read_host_keys


class HostKeysProvider(ResourceProvider):
    """Only reads: the rollout alone removes the temporary key.

    A create that fails leaves nothing in the state; had it removed the key by then, nobody could ever verify the
    machine again.
    """

    # Nothing secret is in it, and a preview may show that it did not change.
    serialize_as_secret_always = False

    @without_traceback
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(props["machine"]["name"], _read(props))

    @without_traceback
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_read(_news))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        # Keys belong to a machine: whatever else changes, they stay. A new machine is an update, not a replacement:
        # a replacement would be deleted before its machine is, and could not be read again if that one then stays.
        return DiffResult(changes=bool(_olds.get("instance_id") != _news.get("instance_id")), replaces=[])


class HostKeys(Resource, module="tandem", name="HostKeys"):
    """Public host keys of one machine, as pinned lines `ssh-ed25519 AAAA...`."""

    host_keys: pulumi.Output[Sequence[str]]

    def __init__(
        self,
        name: str,
        machine: Mapping[str, Any],
        private_key: pulumi.Input[str],
        bastion: Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            # Apart from the machine's other values: the engine asks for a difference with all of an input unknown.
            "instance_id": machine["instance_id"],
            "machine": machine,
            "private_key": private_key,
            "bastion": bastion,
            "host_keys": None,
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        super().__init__(HostKeysProvider(), name, inputs, pulumi.ResourceOptions.merge(opts, secret))


@dataclass(frozen=True, slots=True)
class HostKeysArgs:
    machines: Machines
    credentials: Credentials
    user: str


class GroupHostKeys(pulumi.ComponentResource):
    """The long-term host keys of every machine, and with them the machines as a rollout reaches them."""

    hosts: tuple[dict[str, Any], ...]
    bastion: dict[str, Any] | None

    def __init__(self, name: str, args: HostKeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tandem:cloud:HostKeys", name, None, opts)
        self._name, self._args = name, args
        self.bastion = None
        if args.machines.bastion is not None:
            self.bastion = self._verified(args.machines.bastion)
        self.hosts = tuple(self._verified(server) for server in args.machines.servers)
        self.register_outputs({})

    def _verified(self, server: Server) -> dict[str, Any]:
        """The machine under its long-term keys."""
        user = self._args.user
        born_with = self._args.credentials.temporary_host_keys[server.name].public_key
        known = HostKeys(
            of_machine(self._name, server.name),
            machine=host_data(server, user, [born_with]),
            private_key=self._args.credentials.deployment_key.private_key,
            bastion=self.bastion,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return host_data(server, user, known.host_keys)


def _read(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Wait for the machine and read its keys. Returns the resource's outputs. Raises ProvisioningError."""
    bastion = inputs.get("bastion")
    keys = read_host_keys(
        parse_host(inputs["machine"]), inputs["private_key"], bastion=parse_host(bastion) if bastion else None
    )
    return {**inputs, "host_keys": list(keys)}


def host_data(
    server: Server, user: str, host_keys: pulumi.Output[Sequence[str]] | list[pulumi.Output[str]]
) -> dict[str, Any]:
    """One machine, as the dynamic resources take it. Values are outputs one by one: of a machine that is about to be
    replaced a preview then knows all but the new id.
    """
    return {
        "name": server.name,
        "instance_id": server.instance_id,
        "private_address": server.private_address,
        "ssh_address": server.ssh_address,
        "user": user,
        "host_keys": host_keys,
        "holder": server.holder,
    }
