"""Forwards a port of the host's 127.0.0.1 to a public address of the cloud, for a browser."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from localcloud.errors import NetworkError
from localcloud.network import names
from localcloud.network.namespaces import Namespaces

_CHUNK = 1 << 16
_CONNECT_S = 10.0


@dataclass
class Exposed:
    """The open ports. Lives in the daemon's event loop."""

    namespaces: Namespaces
    _servers: dict[int, tuple[IPv4Address, int, asyncio.Server]] = field(default_factory=dict)

    async def open(self, public: IPv4Address, public_port: int, local_port: int) -> None:
        """Open the port. Raises NetworkError if it is in use."""
        present = self._servers.get(local_port)
        if present is not None and present[:2] == (public, public_port):
            return
        await self.close(local_port)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(public, public_port, reader, writer)

        try:
            server = await asyncio.start_server(serve, "127.0.0.1", local_port)
        except OSError as error:
            raise NetworkError(
                f"127.0.0.1:{local_port} cannot be opened ({error.strerror}); choose another with --port"
            ) from error
        self._servers[local_port] = (public, public_port, server)

    async def close(self, local_port: int) -> bool:
        """Close the port; return True if it was open."""
        _, _, server = self._servers.pop(local_port, (None, 0, None))
        if server is None:
            return False
        server.close()
        return True

    def listing(self) -> list[dict[str, object]]:
        return [
            {"local": f"127.0.0.1:{local_port}", "public": f"{public}:{public_port}"}
            for local_port, (public, public_port, _) in sorted(self._servers.items())
        ]

    async def _serve(
        self, public: IPv4Address, public_port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # A socket created inside is a client on the internet; the thread leaves the namespace immediately afterwards.
        with self.namespaces.inside(names.INTERNET):
            outward = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        outward.setblocking(False)
        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(_CONNECT_S):
                await loop.sock_connect(outward, (str(public), public_port))
            far_reader, far_writer = await asyncio.open_connection(sock=outward)
        except (OSError, TimeoutError):
            outward.close()
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError):
        target.close()
