"""Alarm policies for nodes and public addresses, and the notice that they send."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from tencentcloud_iac_pulumi import monitor

from components.labels import Labels
from components.nodes import Nodes
from components.virtual_ip import VirtualIp
from settings.alarms import AlarmsSettings, ReceiversSettings

_PERIOD_S = 60
_PERIODS = 5
_REPEAT_S = 3600
_WHOLE_DAY = (0, 86_399)  # seconds of the day
_CVM = "cvm_device"
_EIP = "EIP"
# Events that the cloud itself observes: the node cannot be pinged, for example after a power failure; it has rebooted,
# or its host has failed; its kernel has failed; it has no memory; its disk is read-only. Documents 248/51284
# (DescribeAlarmEvents) and 248/51287; the names are those of a public copy of its response for cvm_device. None of the
# 57 events there reports a lost monitoring agent.
_CVM_EVENTS = (
    "ping_unreachable",
    "guest_reboot",
    "instance_restarted",
    "guest_core_error",
    "guest_oom",
    "disk_readonly",
)


@dataclass(frozen=True, slots=True)
class AlarmsArgs:
    settings: AlarmsSettings
    nodes: Nodes
    virtual_ips: Sequence[VirtualIp]
    bandwidth_mbps: int  # of each public address
    labels: Labels


class Alarms(pulumi.ComponentResource):
    """Two policies, each bound to its resources: a policy has no effect without a binding."""

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tandem:cloud:Alarms", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        if args.settings.enabled:
            notice = self._notice()
            self._watch_nodes(notice)
            self._watch_addresses(notice)
        self.register_outputs({})

    def _notice(self) -> pulumi.Output[str]:
        settings = self._args.settings
        return monitor.AlarmNotice(
            f"{self._name}-notice",
            name=self._args.labels.name("notice"),
            notice_type="ALL",
            notice_language=settings.language,
            user_notices=_user_notices(settings.receivers),
            # Such a URL often contains a key, so it is neither in a preview nor in plain text in the state.
            url_notices=[
                monitor.AlarmNoticeUrlNoticeArgs(
                    url=pulumi.Output.secret(url), start_time=_WHOLE_DAY[0], end_time=_WHOLE_DAY[1]
                )
                for url in settings.receivers.urls
            ],
            opts=self._child,
        ).id

    def _watch_nodes(self, notice: pulumi.Output[str]) -> None:
        settings = self._args.settings
        limits = {
            # The last two metrics are reported by the monitoring agent on the node.
            "CpuUsage": settings.cpu_percent,
            "MemUsage": settings.memory_percent,
            "CvmDiskUsage": settings.disk_percent,
        }
        rules = [_rule(metric, limit, "%") for metric, limit in limits.items()]
        policy = self._policy("nodes", _CVM, rules, notice, _CVM_EVENTS)
        instance_ids = [instance.instance_id for instance in self._args.nodes.instances]
        self._bind("nodes", policy, [instance_id.apply(_instance_dimension) for instance_id in instance_ids])

    def _watch_addresses(self, notice: pulumi.Output[str]) -> None:
        args = self._args
        limit_mbps = args.bandwidth_mbps * args.settings.traffic_percent / 100
        policy = self._policy("traffic", _EIP, [_rule("VipOuttraffic", limit_mbps, "Mbps")], notice)
        self._bind("traffic", policy, [each.public_ip.apply(_address_dimension) for each in args.virtual_ips])

    def _policy(
        self,
        what: str,
        namespace: str,
        rules: list[monitor.AlarmPolicyConditionsRuleArgs],
        notice: pulumi.Output[str],
        events: Sequence[str] = (),
    ) -> pulumi.Output[str]:
        return monitor.AlarmPolicy(
            f"{self._name}-{what}",
            policy_name=self._args.labels.name(what),
            monitor_type="MT_QCE",
            namespace=namespace,
            enable=1,
            # 0: an alarm is raised when any of the rules matches.
            conditions=monitor.AlarmPolicyConditionsArgs(is_union_rule=0, rules=rules),
            event_conditions=[monitor.AlarmPolicyEventConditionArgs(metric_name=event) for event in events] or None,
            notice_ids=[notice],
            opts=self._child,
        ).id

    def _bind(self, what: str, policy: pulumi.Output[str], dimensions: list[pulumi.Output[str]]) -> None:
        monitor.PolicyBindingObject(
            f"{self._name}-{what}-binding",
            policy_id=policy,
            dimensions=[
                monitor.PolicyBindingObjectDimensionArgs(dimensions_json=dimension) for dimension in dimensions
            ],
            # All bindings of a policy are one object: deleting the old resource would delete the new bindings too.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )


def _rule(metric: str, limit: float, unit: str) -> monitor.AlarmPolicyConditionsRuleArgs:
    return monitor.AlarmPolicyConditionsRuleArgs(
        metric_name=metric,
        operator="gt",
        value=f"{limit:g}",
        unit=unit,
        period=_PERIOD_S,
        continue_period=_PERIODS,
        notice_frequency=_REPEAT_S,
        is_power_notice=0,
        rule_type="STATIC",
    )


def _user_notices(receivers: ReceiversSettings) -> list[monitor.AlarmNoticeUserNoticeArgs]:
    """Return one user notice for users and one for groups: a user notice accepts only one receiver type."""
    return [
        monitor.AlarmNoticeUserNoticeArgs(
            receiver_type=kind,
            notice_ways=list(receivers.ways),
            start_time=_WHOLE_DAY[0],
            end_time=_WHOLE_DAY[1],
            user_ids=list(ids) if kind == "USER" else None,
            group_ids=list(ids) if kind == "GROUP" else None,
        )
        for kind, ids in (("USER", receivers.user_ids), ("GROUP", receivers.group_ids))
        if ids
    ]


def _instance_dimension(instance_id: str) -> str:
    return _compact({"unInstanceId": instance_id})


def _address_dimension(public_ip: str) -> str:
    # The dimension is the address (documentation page "EIP monitoring metrics": dimension `eip`).
    return _compact({"eip": public_ip})


def _compact(dimension: Mapping[str, str]) -> str:
    # The provider compares this text with the API's response, which has no spaces.
    return json.dumps(dimension, separators=(",", ":"))
