"""Load balancers (service clb). The RequestId of every write is its task ID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.rules import instance, interface, load_balancer, security_group, task
from localcloud.rules.load_balancer import Listener, LoadBalancer, Target
from localcloud.rules.records import beijing_time, changed, iso_time
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import page
from localcloud.services.parameters import Parameters

_ONE = (load_balancer.LoadBalancerNotFound,)
_LISTENER = (*_ONE, load_balancer.ListenerNotFound)
_STATUS = {"SUCCESS": 0, "FAILED": 1, "RUNNING": 2}


def _begin_task(call: Call, *balancer_ids: str) -> None:
    task.begin(call.tx, call.tx.timing.load_balancer_s, task_id=call.request_id, resource_ids=balancer_ids)


@action("clb", "DescribeTaskStatus", task.TaskNotFound)
def describe_task_status(call: Call, given: Parameters) -> Answer:
    """Return the state of the task that a request started: 0 successful, 1 failed, 2 running."""
    found = task.get(call.tx, given.text("TaskId"))
    done = found.result == "SUCCESS"
    return {"Status": _STATUS[found.result], "LoadBalancerIds": list(found.resource_ids) if done else []}


def show(call: Call, found: LoadBalancer) -> Answer:
    """Return a load balancer in the response format."""
    return {
        "LoadBalancerId": found.id,
        "LoadBalancerName": found.name,
        "LoadBalancerType": found.type,
        "Forward": 1,
        "LoadBalancerVips": [str(found.address)],
        "Status": 1,
        "CreateTime": beijing_time(found.created),
        "StatusTime": beijing_time(found.created),
        "ProjectId": found.project_id,
        "VpcId": found.vpc_id,
        "SubnetId": found.subnet_id,
        "SecureGroups": list(found.group_ids),
        "Tags": [{"TagKey": row["Key"], "TagValue": row["Value"]} for row in tagging.shown(call, found.id)],
        # The provider crashes if this is null.
        "TargetRegionInfo": {"Region": found.region, "VpcId": found.vpc_id},
        "AddressIPVersion": "ipv4",
        "LoadBalancerPassToTarget": found.pass_to_target,
        "ChargeType": "POSTPAID_BY_HOUR",
    }


@action("clb", "CreateLoadBalancer", load_balancer.LoadBalancerTypeNotEmulated, load_balancer.SubnetUnknown)
def create_load_balancer(call: Call, given: Parameters) -> Answer:
    """Create an internal load balancer."""
    requested = LoadBalancer(
        name=given.find_text("LoadBalancerName") or "",
        type=given.text("LoadBalancerType"),
        vpc_id=given.find_text("VpcId") or "",
        subnet_id=given.find_text("SubnetId") or "",
        project_id=given.integer_or("ProjectId", 0),
        pass_to_target=given.flag("LoadBalancerPassToTarget"),
    )
    made = load_balancer.create(call.tx, requested, tagging.given(given))
    _begin_task(call, made.id)
    return {"LoadBalancerIds": [made.id]}


@action("clb", "DescribeLoadBalancers")
def describe_load_balancers(call: Call, given: Parameters) -> Answer:
    """List load balancers."""
    ids, name = given.texts("LoadBalancerIds"), given.find_text("LoadBalancerName")
    vpc_id, vips = given.find_text("VpcId"), given.texts("LoadBalancerVips")
    found = [
        balancer
        for balancer in call.tx.all(LoadBalancer)
        if (not ids or balancer.id in ids)
        and (not name or name in balancer.name)
        and (not vpc_id or balancer.vpc_id == vpc_id)
        and (not vips or str(balancer.address) in vips)
    ]
    return {"TotalCount": len(found), "LoadBalancerSet": [show(call, balancer) for balancer in page(call, found)]}


@action("clb", "ModifyLoadBalancerAttributes", *_ONE)
def modify_load_balancer_attributes(call: Call, given: Parameters) -> Answer:
    """Change the name of a load balancer, or whether its targets trust its traffic."""
    name, pass_to_target = given.find_text("LoadBalancerName"), given.find_flag("LoadBalancerPassToTarget")
    return _change(call, {"name": name, "pass_to_target": pass_to_target})


def _change(call: Call, attributes: Mapping[str, object]) -> Answer:
    present = load_balancer.get(call.tx, call.parameters.text("LoadBalancerId"))
    load_balancer.change(call.tx, changed(present, attributes))
    _begin_task(call, present.id)
    return {}


@action("clb", "SetLoadBalancerSecurityGroups", *_ONE, security_group.SecurityGroupNotFound)
def set_load_balancer_security_groups(call: Call, given: Parameters) -> Answer:
    """Set the security groups of a load balancer."""
    return _change(call, {"group_ids": given.texts("SecurityGroups")})


@action("clb", "DeleteLoadBalancer", *_ONE)
def delete_load_balancer(call: Call, given: Parameters) -> None:
    """Delete load balancers with their listeners."""
    ids = given.required_texts("LoadBalancerIds")
    load_balancer.delete(call.tx, ids)
    _begin_task(call, *ids)


def _health_check(given: Parameters) -> dict[str, Any]:
    """Return the health check as given. A CheckPort of -1 means none and is omitted, or the provider would see a
    change.
    """
    check = dict(given.inside("HealthCheck").values)
    if check.get("CheckPort") == -1:
        check["CheckPort"] = 0
    return {"HealthSwitch": 1, **check}


@action("clb", "CreateListener", *_ONE, load_balancer.PortInUse)
def create_listener(call: Call, given: Parameters) -> Answer:
    """Create listeners on ports of a load balancer."""
    balancer_id, protocol = given.text("LoadBalancerId"), given.text("Protocol")
    names = given.texts("ListenerNames")
    made = [
        load_balancer.add_listener(
            call.tx,
            balancer_id,
            Listener(
                listener_id="",
                name=names[index] if index < len(names) else "",
                protocol=protocol,
                port=port,
                scheduler=given.find_text("Scheduler") or "WRR",
                health_check=_health_check(given),
                session_expire_s=given.find_integer("SessionExpireTime") or 0,
                target_type=given.find_text("TargetType") or "NODE",
                created=0.0,
            ),
        )
        for index, port in enumerate(given.required_integers("Ports"))
    ]
    _begin_task(call, given.text("LoadBalancerId"))
    return {"ListenerIds": [created.listener_id for created in made]}


def _listeners(call: Call) -> list[Listener]:
    given = call.parameters
    balancer = load_balancer.get(call.tx, given.text("LoadBalancerId"))
    ids, protocol, port = given.texts("ListenerIds"), given.find_text("Protocol"), given.find_integer("Port")
    return [
        listener
        for listener in balancer.listeners
        if (not ids or listener.listener_id in ids)
        and (not protocol or listener.protocol == protocol)
        and (port is None or listener.port == port)
    ]


@action("clb", "DescribeListeners", *_ONE)
def describe_listeners(call: Call, _given: Parameters) -> Answer:
    """List the listeners of a load balancer."""
    rows = [
        {
            "ListenerId": listener.listener_id,
            "ListenerName": listener.name,
            "Protocol": listener.protocol,
            "Port": listener.port,
            "Scheduler": listener.scheduler,
            "SessionExpireTime": listener.session_expire_s,
            "SessionType": "NORMAL",
            "HealthCheck": {"CheckType": listener.protocol, **listener.health_check},
            "CreateTime": beijing_time(listener.created),
            "TargetType": listener.target_type,
        }
        for listener in _listeners(call)
    ]
    return {"Listeners": rows, "TotalCount": len(rows)}


@action("clb", "ModifyListener", *_LISTENER)
def modify_listener(call: Call, given: Parameters) -> None:
    """Change the name, scheduler, session or health check of a listener."""
    balancer_id = given.text("LoadBalancerId")
    present = load_balancer.get_listener(load_balancer.get(call.tx, balancer_id), given.text("ListenerId"))
    attributes = {
        "name": given.find_text("ListenerName"),
        "scheduler": given.find_text("Scheduler") or None,
        "session_expire_s": given.find_integer("SessionExpireTime"),
        "health_check": _health_check(given) if "HealthCheck" in given else None,
    }
    load_balancer.change_listener(call.tx, balancer_id, changed(present, attributes))
    _begin_task(call, given.text("LoadBalancerId"))


@action("clb", "DeleteListener", *_LISTENER)
def delete_listener(call: Call, given: Parameters) -> None:
    """Delete a listener with its targets."""
    load_balancer.delete_listener(call.tx, given.text("LoadBalancerId"), given.text("ListenerId"))
    _begin_task(call, given.text("LoadBalancerId"))


@action("clb", "RegisterTargets", *_LISTENER, load_balancer.TargetAlreadyRegistered, load_balancer.TargetUnknown)
def register_targets(call: Call, given: Parameters) -> None:
    """Register instances as targets of a listener."""
    balancer_id, listener_id = given.text("LoadBalancerId"), given.text("ListenerId")
    targets = tuple(_target(call, entry) for entry in given.required_each("Targets"))
    load_balancer.register(call.tx, balancer_id, listener_id, targets)
    _begin_task(call, given.text("LoadBalancerId"))


def _target(call: Call, entry: Parameters) -> Target:
    weight = entry.find_integer("Weight")
    return Target(entry.text("InstanceId"), entry.integer("Port"), 10 if weight is None else weight, call.tx.now)


@action("clb", "DeregisterTargets", *_LISTENER, load_balancer.TargetNotFound)
def deregister_targets(call: Call, given: Parameters) -> None:
    """Deregister targets from a listener."""
    balancer_id, listener_id = given.text("LoadBalancerId"), given.text("ListenerId")
    removed = tuple((entry.text("InstanceId"), entry.integer("Port")) for entry in given.required_each("Targets"))
    load_balancer.deregister(call.tx, balancer_id, listener_id, removed)
    _begin_task(call, given.text("LoadBalancerId"))


@action("clb", "DescribeTargets", *_ONE)
def describe_targets(call: Call, _given: Parameters) -> Answer:
    """List the targets of the listeners of a load balancer."""
    rows = [
        {
            "ListenerId": listener.listener_id,
            "Protocol": listener.protocol,
            "Port": listener.port,
            "Targets": [_show_target(call, target) for target in listener.targets],
        }
        for listener in _listeners(call)
    ]
    return {"Listeners": rows}


def _show_target(call: Call, target: Target) -> Answer:
    found = call.tx.find(instance.Instance, target.instance_id)
    return {
        "Type": "CVM",
        "InstanceId": target.instance_id,
        "Port": target.port,
        "Weight": target.weight,
        "PrivateIpAddresses": [] if found is None else [str(interface.get(call.tx, found.interface_id).address)],
        "InstanceName": found.name if found is not None else "",
        "RegisteredTime": iso_time(target.registered),
    }
