"""Load balancers (CLB). Only the records exist: no traffic passes through them. Every write is a task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any

from localcloud.rules import instance, security_group, subnet, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import InvalidParameterValue, assumed, check_range, documented, provider, rule
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
LISTENERS = 50
PROTOCOLS = ("TCP", "UDP", "HTTP", "HTTPS", "TCP_SSL", "QUIC")


@dataclass(frozen=True, slots=True)
class Target:
    """An instance that receives the traffic of a listener."""

    instance_id: str
    port: int
    weight: int
    registered: float


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener on one port of a load balancer. The health check is stored as given."""

    listener_id: str
    name: str
    protocol: str
    port: int
    scheduler: str
    health_check: dict[str, Any]
    session_expire_s: int
    target_type: str
    created: float
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer(Record):
    """An internal load balancer with a private address (type INTERNAL)."""

    name: str
    type: str
    vpc_id: str
    subnet_id: str
    address: IPv4Address = subnet.UNASSIGNED
    project_id: int
    pass_to_target: bool
    group_ids: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()


LoadBalancerNotFound = rule(
    "InvalidParameter.LBIdNotFound",
    "LoadBalancerId must identify an existing load balancer.",
    provider("interprets this code as deleted (observed with 1.82.42)"),
)
ListenerNotFound = rule(
    "InvalidParameter.ListenerIdNotFound",
    "ListenerId must identify an existing listener of the load balancer.",
    documented("DescribeListeners: LoadBalancerId, ListenerIds; the SDK's errorcodes.py", page="214/30686"),
)
LoadBalancerTypeNotEmulated = rule(
    "InvalidParameterValue",
    "The type of a load balancer must be INTERNAL, the only type that localcloud emulates.",
    assumed("limit of localcloud: LoadBalancerType OPEN (214/30692) is not emulated"),
)
SubnetUnknown = rule(
    "InvalidParameterValue",
    "SubnetId must identify an existing subnet of the VPC in VpcId.",
    documented("CreateLoadBalancer: VpcId, SubnetId", page="214/30692"),
)
TargetUnknown = rule(
    "InvalidParameterValue",
    "A target must be an existing instance.",
    documented("RegisterTargets: Targets", page="214/30676"),
)
PortInUse = rule(
    "InvalidParameter.PortCheckFailed",
    "A load balancer can have only one listener on a port of one protocol.",
    documented("CreateListener: Ports; the SDK's errorcodes.py", page="214/30693"),
)
TargetNotFound = rule(
    "InvalidParameter",
    "A target to deregister must be registered with the listener.",
    provider("interprets InvalidParameter of DeregisterTargets as success (observed with 1.82.42)"),
)
TargetAlreadyRegistered = rule(
    "InvalidParameterValue.Duplicate",
    "A port of an instance can be registered with a listener only once.",
    documented("RegisterTargets: Targets; the SDK's errorcodes.py", page="214/30676"),
)


def get(tx: Transaction, balancer_id: str) -> LoadBalancer:
    """Return the load balancer. Raises: LoadBalancerNotFound."""
    return tx.get(LoadBalancer, balancer_id, LoadBalancerNotFound)


def get_listener(balancer: LoadBalancer, listener_id: str) -> Listener:
    """Return the listener. Raises: ListenerNotFound."""
    for listener in balancer.listeners:
        if listener.listener_id == listener_id:
            return listener
    raise ListenerNotFound(got=listener_id, balancer_id=balancer.id)


def create(tx: Transaction, requested: LoadBalancer, tags: tag.Tags) -> LoadBalancer:
    """Create an internal load balancer. Its name is by default its ID."""
    if requested.type != "INTERNAL":
        raise LoadBalancerTypeNotEmulated(got=requested.type)
    _check_name(requested.name)
    place = tx.find(subnet.Subnet, requested.subnet_id)
    if place is None or place.vpc_id != requested.vpc_id:
        raise SubnetUnknown(got=requested.subnet_id, vpc_id=requested.vpc_id)
    made = tag.create(tx, "lb", replace(requested, address=subnet.free_address(tx, place)), tags)
    return tx.put(replace(made, name=made.name or made.id))


def _check_name(name: str) -> None:
    if len(name) > NAME_LIMIT:
        raise InvalidParameterValue(
            name="LoadBalancerName", value=name, expected=f"at most {NAME_LIMIT} characters long"
        )


def change(tx: Transaction, changed: LoadBalancer) -> None:
    """ModifyLoadBalancerAttributes, SetLoadBalancerSecurityGroups."""
    _check_name(changed.name)
    for group_id in changed.group_ids:
        security_group.get(tx, group_id)
    tx.put(changed)


def delete(tx: Transaction, balancer_ids: tuple[str, ...]) -> None:
    """Delete load balancers with their listeners."""
    for balancer_id in balancer_ids:
        tag.delete(tx, get(tx, balancer_id))


def add_listener(tx: Transaction, balancer_id: str, requested: Listener) -> Listener:
    """Add a listener and assign its ID."""
    found = get(tx, balancer_id)
    if requested.protocol not in PROTOCOLS:
        raise InvalidParameterValue(
            name="Protocol", value=requested.protocol, expected=f"one of {', '.join(PROTOCOLS)}"
        )
    check_range("Ports", requested.port, 1, 65535)
    for other in found.listeners:
        if other.port == requested.port and (other.protocol == "UDP") == (requested.protocol == "UDP"):
            raise PortInUse(port=requested.port, protocol=requested.protocol, balancer_id=balancer_id)
    if len(found.listeners) >= LISTENERS:
        raise InvalidParameterValue(
            name="Ports", value=requested.port, expected=f"a port within the limit of {LISTENERS} listeners"
        )
    made = replace(requested, listener_id=tx.new_id("lbl"), created=tx.now)
    tx.put(replace(found, listeners=(*found.listeners, made)))
    return made


def change_listener(tx: Transaction, balancer_id: str, changed: Listener) -> None:
    """Replace the listener with the same ID."""
    found = get(tx, balancer_id)
    get_listener(found, changed.listener_id)
    listeners = tuple(changed if each.listener_id == changed.listener_id else each for each in found.listeners)
    tx.put(replace(found, listeners=listeners))


def delete_listener(tx: Transaction, balancer_id: str, listener_id: str) -> None:
    """Delete a listener with its targets."""
    found = get(tx, balancer_id)
    get_listener(found, listener_id)
    tx.put(replace(found, listeners=tuple(each for each in found.listeners if each.listener_id != listener_id)))


def register(tx: Transaction, balancer_id: str, listener_id: str, targets: tuple[Target, ...]) -> None:
    """Register instances as targets of a listener."""
    listener = get_listener(get(tx, balancer_id), listener_id)
    for target in targets:
        if tx.find(instance.Instance, target.instance_id) is None:
            raise TargetUnknown(got=target.instance_id)
        if any((one.instance_id, one.port) == (target.instance_id, target.port) for one in listener.targets):
            raise TargetAlreadyRegistered(instance_id=target.instance_id, port=target.port, listener_id=listener_id)
        listener = replace(listener, targets=(*listener.targets, target))
    change_listener(tx, balancer_id, listener)


def deregister(tx: Transaction, balancer_id: str, listener_id: str, removed: tuple[tuple[str, int], ...]) -> None:
    """Deregister targets from a listener."""
    listener = get_listener(get(tx, balancer_id), listener_id)
    present = {(target.instance_id, target.port) for target in listener.targets}
    for instance_id, port in removed:
        if (instance_id, port) not in present:
            raise TargetNotFound(instance_id=instance_id, port=port, listener_id=listener_id)
    kept = tuple(target for target in listener.targets if (target.instance_id, target.port) not in removed)
    change_listener(tx, balancer_id, replace(listener, targets=kept))


@subnet.occupies
def _addresses(tx: Transaction, subnet_id: str) -> list[subnet.Occupied]:
    return [
        subnet.Occupied(each.address, "CLB", each.id) for each in tx.all(LoadBalancer) if each.subnet_id == subnet_id
    ]
