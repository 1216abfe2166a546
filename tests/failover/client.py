"""Sends GET requests at a constant rate, each on a new connection, until stdin ends. Prints one JSON line for each."""

from __future__ import annotations

import asyncio
import json
import sys
import time


async def ask(address: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n")
        return (await reader.read(64)).startswith(b"HTTP/1.1 200")
    finally:
        writer.transport.abort()


async def record(address: str, port: int) -> None:
    began, ok = time.time(), False
    try:
        async with asyncio.timeout(2):
            ok = await ask(address, port)
    except OSError:
        pass
    print(json.dumps({"began": began, "took": time.time() - began, "ok": ok}))


async def main(address: str, port: int, rate: float) -> None:
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    began, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while not ended.done():
            group.create_task(record(address, port))
            number += 1
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
