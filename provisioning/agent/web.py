"""HTTP requests of the health checks to services on this node. Certificates are compared, not verified."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from typing import Any, NamedTuple

_TIMEOUT_S = 5.0


class Response(NamedTuple):
    status: int  # 0: no response
    text: str  # the body, or the reason why there is no response
    certificate: bytes = b""  # DER; the certificate that an HTTPS server presented

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; {} if it is none."""
        try:
            value = json.loads(self.text)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def __str__(self) -> str:
        return f"{self.status} {self.text.strip()[:200]}" if self.status else self.text


def request(
    method: str,
    url: str,
    *,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    address: str = "",
    timeout_s: float = _TIMEOUT_S,
) -> Response:
    """Send one request. `address` is connected to instead of the URL's host, which is still sent as the name."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    connection = _connect(parts.scheme, address or host, parts.port, timeout_s, host)
    data = json.dumps(body).encode() if body is not None else None
    kind = {"Content-Type": "application/json"} if body is not None else {}
    try:
        connection.connect()
        certificate = connection.sock.getpeercert(True) or b"" if isinstance(connection.sock, ssl.SSLSocket) else b""
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, data, {"Host": host, "Connection": "close", **kind, **(headers or {})})
        response = connection.getresponse()
        return Response(response.status, response.read(65536).decode(errors="replace"), certificate)
    except (OSError, http.client.HTTPException) as failed:
        return Response(0, f"{type(failed).__name__}: {failed}")
    finally:
        connection.close()


class _NamedConnection(http.client.HTTPSConnection):
    """Connects to one address and sends another name (SNI)."""

    def __init__(self, address: str, port: int, timeout_s: float, name: str) -> None:
        self._own_context = ssl.create_default_context()
        self._own_context.check_hostname = False
        self._own_context.verify_mode = ssl.CERT_NONE
        super().__init__(address, port, timeout=timeout_s, context=self._own_context)
        self._name = name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._own_context.wrap_socket(self.sock, server_hostname=self._name)


def _connect(scheme: str, address: str, port: int | None, timeout_s: float, name: str) -> http.client.HTTPConnection:
    if scheme == "https":
        return _NamedConnection(address, port or 443, timeout_s, name)
    return http.client.HTTPConnection(address, port or 80, timeout=timeout_s)
