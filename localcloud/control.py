"""The control socket: status, faults, console, expose. Other paths belong to the API and its admin application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from ipaddress import IPv4Address
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from localcloud.api.admin import make_admin_app
from localcloud.api.gateway import Gateway
from localcloud.errors import LocalcloudError
from localcloud.expose import Exposed
from localcloud.machines.linux_infrastructure import LinuxInfrastructure
from localcloud.machines.machine import Machine
from localcloud.machines.machine_faults import MachineFaults
from localcloud.reconcile.cloud import Cloud


def make_control_app(
    infrastructure: LinuxInfrastructure, gateway: Gateway, api: Starlette, stop: Callable[[], None]
) -> Starlette:
    """Return the application. `stop` ends the daemon; machines keep running."""
    faults = MachineFaults(infrastructure)
    exposed = Exposed(infrastructure.namespaces)

    async def status(_: Request) -> Response:
        found = await asyncio.to_thread(describe, infrastructure, gateway.cloud)
        return JSONResponse(found | {"exposed": exposed.listing()})

    async def end(_: Request) -> Response:
        stop()
        return JSONResponse({"stopping": True})

    async def machine(request: Request) -> Response:
        found = infrastructure.get(request.query_params["node"])
        return JSONResponse(await asyncio.to_thread(_describe_machine, found))

    async def console(request: Request) -> Response:
        machine = infrastructure.get(request.query_params["node"])
        return JSONResponse({"console": await asyncio.to_thread(machine.console)})

    async def inject(request: Request) -> Response:
        data = await request.json()
        report = await asyncio.to_thread(faults.inject, data["node"], data["fault"], data["arguments"])
        return JSONResponse(asdict(report))

    async def expose(request: Request) -> Response:
        data = await request.json()
        if "stop" in data:
            return JSONResponse({"closed": await exposed.close(data["stop"])})
        try:
            public = IPv4Address(data["public"])
        except ValueError:
            raise LocalcloudError(f"the public address must be an IPv4 address (got {data['public']!r})") from None
        bound = {eip.public for vpc in infrastructure.network.plan.vpcs for eip in vpc.public_addresses}
        if public not in bound:
            known = ", ".join(map(str, sorted(bound))) or "none; associate an EIP first"
            raise LocalcloudError(f"{public} is not bound to an instance or a HAVIP of this cloud; bound: {known}")
        await exposed.open(public, data["port"], data["local"])
        return JSONResponse({"exposed": exposed.listing()})

    async def takeover_delay(request: Request) -> Response:
        seconds = float((await request.json())["seconds"])
        await asyncio.to_thread(infrastructure.set_takeover_delay, seconds)
        return JSONResponse({"takeover_delay_s": seconds})

    routes = [
        Route("/control/fault", inject, methods=["POST"]),
        Route("/control/expose", expose, methods=["POST"]),
        Route("/control/takeover-delay", takeover_delay, methods=["POST"]),
        Route("/control/status", status),
        Route("/control/stop", end, methods=["POST"]),
        Route("/control/machine", machine),
        Route("/control/console", console),
        Mount("/admin", make_admin_app(gateway)),
        Mount("/", api),
    ]
    return Starlette(routes=routes, exception_handlers={LocalcloudError: _refuse, Exception: _internal_error})


async def _refuse(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=409)


async def _internal_error(request: Request, error: Exception) -> Response:
    """An internal error of localcloud; the traceback is in the daemon's log."""
    text = f"internal error at {request.url.path}: {type(error).__name__}: {error}; see the daemon's log"
    return JSONResponse({"error": text}, status_code=500)


def describe(infrastructure: LinuxInfrastructure, cloud: Cloud) -> dict[str, Any]:
    """Return the data of `localcloud status --json`."""
    plan = infrastructure.network.plan
    machines = [_describe_machine(machine) for machine in infrastructure.machines()]
    return {
        "cloud": infrastructure.paths.cloud,
        "machines": machines,
        "virtual_addresses": [
            {
                "havip": havip.havip_id,
                "address": str(havip.address),
                "vpc": vpc.vpc_id,
                "subnet": subnet.subnet_id,
                "holder": infrastructure.holders.holder(havip.havip_id),
            }
            for vpc in plan.vpcs
            for subnet in vpc.subnets
            for havip in subnet.virtual_addresses
        ],
        "public_addresses": [
            {"eip": eip.address_id, "public": str(eip.public), "private": str(eip.private), "vpc": vpc.vpc_id}
            for vpc in plan.vpcs
            for eip in vpc.public_addresses
        ],
        "vpcs": [
            {
                "vpc": vpc.vpc_id,
                "cidrs": [str(cidr) for cidr in vpc.cidrs],
                "subnets": [{"subnet": subnet.subnet_id, "cidr": str(subnet.cidr)} for subnet in vpc.subnets],
            }
            for vpc in plan.vpcs
        ],
        "takeover_delay_s": infrastructure.holders.takeover_delay_s,
        "records": cloud.status(),
    }


def _describe_machine(machine: Machine) -> dict[str, Any]:
    spec = machine.spec
    pid = machine.init_pid()
    return {
        "instance": machine.instance_id,
        "name": spec.name,
        "hostname": spec.hostname,
        "address": str(spec.interface.address),
        "vpc": spec.vpc_id,
        "image": spec.image_id,
        "type": spec.instance_type,
        "running": pid is not None,
        "paused": machine.cgroup.frozen(),
        "pid": pid,
        "memory_mib": round(machine.cgroup.memory_bytes() / 1024**2, 1),
    }
