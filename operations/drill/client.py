"""Runs the load on the client's side until stdin ends: reads its settings from the first line, prints "ready"."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import uvloop

from operations.drill.requests import Sender
from operations.drill.streams import User, plain_streams

TIMEOUT_S = 2.5  # a response after 2 s does not count, and a dead node must not keep thousands of requests open


async def main(settings: dict[str, Any]) -> None:
    stop = asyncio.Event()
    with Path(settings["out"]).open("w", encoding="utf-8") as out:  # noqa: ASYNC230 - lines are short, the disk is local
        sender = Sender(
            settings["address"], settings["ca_certificate"], out, timeout_s=TIMEOUT_S, sources=settings["sources"]
        )
        user = User(sender, settings["api"], settings["authz"], settings["password"])
        if settings["password"]:
            await user.start()
            streams = user.streams(settings["scale"])
        else:
            streams = plain_streams(
                settings["api"], settings["path"], settings["scale"], any_answer=settings["any_answer"]
            )
        print("ready", flush=True)
        waiting = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        waiting.add_done_callback(lambda _: stop.set())
        await sender.run(streams, stop)
        sender.close()


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.stdin.readline())))
