"""Public host names that nginx serves with a certificate."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import Any

from ..node import Node
from ..results import fail, ok

_NO_SERVER_ERROR = range(200, 500)
_END = "-----END CERTIFICATE-----"


def check(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    domain, path = item["domain"], item["certificate"]
    url = f"https://{domain}{item['path'] or '/'}"
    response = node.request("GET", url, address=item["address"])
    good = response.status == HTTPStatus.OK if item["path"] else response.status in _NO_SERVER_ERROR
    if not good:
        look_at = "/var/log/nginx/error.log, /etc/nginx/conf.d/upstreams.conf"
        return [fail(f"nginx {domain}", f"{url} at {item['address']}: {response}", look_at)]
    deployed = _first_certificate(node.read(path))
    if deployed is None:
        return [fail(f"nginx {domain}", f"{path} holds no certificate", "tandem up deploys it again")]
    if deployed != response.certificate:
        return [fail(f"nginx {domain}", f"presents another certificate than {path}", "systemctl reload nginx")]
    return [ok("nginx", domain)]


def _first_certificate(chain: str) -> bytes | None:
    try:
        return ssl.PEM_cert_to_DER_cert(chain.partition(_END)[0].strip() + "\n" + _END)
    except ValueError:
        return None
