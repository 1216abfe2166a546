"""Rules about the virtual IPs and keepalived."""

from __future__ import annotations

from collections.abc import Iterator

from settings.keepalived import LAST_ROUTER_ID, KeepalivedSettings
from settings.nodes import ELIGIBLE_NODES, NodesSettings
from settings.problems import Problem
from settings.virtual_ip import MAX_VIRTUAL_IPS, VirtualIpSettings


def check_second_address_matches_mode(
    keepalived: KeepalivedSettings, virtual_ip: VirtualIpSettings
) -> Iterator[Problem]:
    second = virtual_ip.second_address
    if keepalived.mode == "dual-master" and second is None:
        yield Problem("tandem:virtualIp.secondAddress", "is required with keepalived.mode dual-master")
    if keepalived.mode != "dual-master" and second is not None:
        yield Problem(
            "tandem:virtualIp.secondAddress",
            f"cannot be set with keepalived.mode {keepalived.mode} (got {second}); use virtualIp.additional",
        )


def check_additional_virtual_ips(keepalived: KeepalivedSettings, virtual_ip: VirtualIpSettings) -> Iterator[Problem]:
    count = len(virtual_ip.addresses)
    if count > MAX_VIRTUAL_IPS:
        yield Problem("tandem:virtualIp.additional", f"must not exceed {MAX_VIRTUAL_IPS} HAVIPs in all (got {count})")
    if virtual_ip.additional and keepalived.profile == "seed":
        yield Problem(
            "tandem:virtualIp.additional", "must be empty with keepalived.profile seed, which has one address"
        )
    for number, each in enumerate(virtual_ip.additional):
        if each.router != 1 and keepalived.mode != "dual-master":
            yield Problem(
                f"tandem:virtualIp.additional[{number}].router",
                f"must be 1 with keepalived.mode {keepalived.mode} (got {each.router})",
            )


def check_router_ids_of_sync_group(keepalived: KeepalivedSettings, virtual_ip: VirtualIpSettings) -> Iterator[Problem]:
    count = len(virtual_ip.addresses)
    if keepalived.sync_group and count == 1:
        yield Problem("tandem:keepalived.syncGroup", "must be false with one virtual IP; add virtualIp.additional")
    if keepalived.sync_group and keepalived.virtual_router_id + count - 1 > LAST_ROUTER_ID:
        yield Problem(
            "tandem:keepalived.virtualRouterId",
            f"must be at most {LAST_ROUTER_ID + 1 - count} with syncGroup and {count} virtual IPs "
            f"(got {keepalived.virtual_router_id})",
        )


def check_virtual_servers(
    keepalived: KeepalivedSettings, virtual_ip: VirtualIpSettings, nodes: NodesSettings
) -> Iterator[Problem]:
    directors = {node.address: node.name for node in nodes.members[:ELIGIBLE_NODES]}
    for number, server in enumerate(keepalived.virtual_servers):
        key = f"tandem:keepalived.virtualServers[{number}]"
        if server.address not in virtual_ip.addresses:
            known = ", ".join(map(str, virtual_ip.addresses))
            yield Problem(f"{key}.address", f"must be a virtual IP: {known} (got {server.address})")
        for position, real in enumerate(server.real_servers):
            if real.address in virtual_ip.addresses:
                yield Problem(
                    f"{key}.realServers[{position}].address",
                    f"cannot be a virtual IP (got {real.address}): the director would send the packets to itself",
                )
            if real.address in directors:
                yield Problem(
                    f"{key}.realServers[{position}].address",
                    f"cannot be an eligible node (got {real.address}, {directors[real.address]}): the backup would "
                    "distribute the connections that it receives a second time",
                )


RULES = (
    check_second_address_matches_mode,
    check_additional_virtual_ips,
    check_router_ids_of_sync_group,
    check_virtual_servers,
)
