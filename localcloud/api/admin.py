"""The admin application: log, faults, reset. Served on a Unix socket, never on the API's listener."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.api.api_faults import ApiFault
from localcloud.api.gateway import Gateway
from localcloud.services.actions import ACTIONS


def make_admin_app(gateway: Gateway) -> Starlette:
    """GET /status /log /faults, POST /faults /reset, DELETE /faults."""

    async def status(_: Request) -> Response:
        return JSONResponse(gateway.cloud.status() | {"requests": gateway.log.total, "faults": gateway.faults.all()})

    async def log(request: Request) -> Response:
        after = request.query_params.get("after")
        if after is None:
            entries = gateway.log.last(int(request.query_params.get("last", "20")))
        else:
            entries = gateway.log.after(int(after))
        return JSONResponse(entries)

    async def list_faults(_: Request) -> Response:
        return JSONResponse(gateway.faults.all())

    async def add_fault(request: Request) -> Response:
        given: dict[str, Any] = json.loads(await request.body())
        target = str(given.get("target", ""))
        if not any(fnmatch.fnmatchcase(f"{service}:{name}", target) for service, name in ACTIONS):
            text = f"{target!r} matches no action; see `localcloud actions`, for example vpc:CreateVpc"
            return JSONResponse({"error": text}, 400)
        gateway.faults.add(ApiFault(**given))
        return JSONResponse(gateway.faults.all())

    async def clear_faults(_: Request) -> Response:
        return JSONResponse({"cleared": gateway.faults.clear()})

    async def reset(_: Request) -> Response:
        await run_in_threadpool(gateway.cloud.reset)
        return JSONResponse({})

    return Starlette(
        routes=[
            Route("/status", status),
            Route("/log", log),
            Route("/faults", list_faults, methods=["GET"]),
            Route("/faults", add_fault, methods=["POST"]),
            Route("/faults", clear_faults, methods=["DELETE"]),
            Route("/reset", reset, methods=["POST"]),
        ]
    )
