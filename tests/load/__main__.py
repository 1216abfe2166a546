"""Runs the load on the client's side until stdin ends: reads its settings from the first line, prints "ready"."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from operations.drill.requests import Sender, Stream
from tests.load.iam import User


async def main(settings: dict[str, Any]) -> None:
    stop = asyncio.Event()
    user: User | None = None
    with Path(settings["out"]).open("w") as out:  # noqa: ASYNC230 - lines are short, and the disk is local
        sender = Sender(settings["address"], settings["ca_certificate"], out, sources=settings["sources"])
        if settings.get("admin_password"):
            user = User(sender, settings["api"], settings["authz"], settings["admin_password"])
            await user.create()
            streams = user.streams(settings["scale"])
        else:
            streams = [Stream("healthz", 200 * settings["scale"], settings["api"], settings["path"])]
        print("ready", flush=True)
        waiting = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        waiting.add_done_callback(lambda _: stop.set())
        await sender.run(streams, stop)
        if user is not None:
            await user.delete()


asyncio.run(main(json.loads(sys.stdin.readline())))
