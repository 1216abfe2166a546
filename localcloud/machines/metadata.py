"""The metadata service of a VPC: 169.254.0.23, metadata.tencentyun.com.

Tencent documents (213/4934): instance-id, local-ipv4, public-ipv4, mac, placement/region and zone, and the interface's
addresses, VPC and subnet. Assumed, because Debian's cloud-init needs them: host names, public keys, user data, the
dated version and the token. Tandem itself reads no metadata; cloud-init does.

Tencent's tree is EC2's at another address. Debian's cloud-init reads it with its Ec2 datasource if it is also available
below a dated version and the token request succeeds (observed with Debian 12). An instance is identified by its
source address, which the ARP and IP guard prevents other instances from using.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv4Address

from localcloud.infrastructure import MachineSpec

# The version that cloud-init falls back to, and the one that people use.
_VERSIONS = ("latest", "2009-04-04", "2017-09-19", "meta-data")

_BODY_BYTES = 64 * 1024

FindMachine = Callable[[IPv4Address], tuple[MachineSpec, IPv4Address | None] | None]


def tree(spec: MachineSpec, public: IPv4Address | None) -> dict[str, str]:
    """Map path below `meta-data/` to value. `public` is the instance's current EIP."""
    interface = spec.interface
    mac = interface.mac
    interface_path = f"network/interfaces/macs/{mac}"
    values = {
        "instance-id": spec.instance_id,
        "hostname": spec.hostname,
        "local-hostname": spec.hostname,
        "local-ipv4": str(interface.address),
        "mac": mac,
        "instance-type": spec.instance_type,
        "instance/instance-type": spec.instance_type,
        "instance/image-id": spec.image_id,
        "ami-id": spec.image_id,
        "placement/region": spec.region,
        "placement/zone": spec.zone,
        "placement/availability-zone": spec.zone,
        f"{interface_path}/mac": mac,
        f"{interface_path}/primary-local-ipv4": str(interface.address),
        f"{interface_path}/local-ipv4s/{interface.address}/local-ipv4": str(interface.address),
        f"{interface_path}/vpc-id": spec.vpc_id,
        f"{interface_path}/subnet-id": spec.subnet_id,
    }
    # An EIP can be bound or unbound while the machine runs, so the address at creation may be outdated.
    public_text = "" if public is None else str(public)
    values["public-ipv4"] = public_text
    values[f"{interface_path}/public-ipv4s"] = public_text
    values[f"{interface_path}/local-ipv4s/{interface.address}/public-ipv4"] = public_text
    for number, key in enumerate(spec.public_keys):
        values[f"public-keys/{number}/openssh-key"] = key
    return spec.metadata | values


def answer(path: str, spec: MachineSpec, public: IPv4Address | None) -> bytes | None:
    parts = [part for part in path.split("?", maxsplit=1)[0].split("/") if part]
    if not parts:
        return "\n".join(_VERSIONS[:-1]).encode()
    if parts[0] not in _VERSIONS:
        return None
    if parts[0] != "meta-data":
        parts = parts[1:]
    if not parts:
        return b"meta-data\nuser-data"
    if parts == ["user-data"]:
        return spec.user_data or None
    if parts[0] != "meta-data":
        return None
    return _browse(tree(spec, public), "/".join(parts[1:]))


def _browse(values: dict[str, str], path: str) -> bytes | None:
    if path in values:
        return values[path].encode()
    prefix = f"{path}/" if path else ""
    names: dict[str, None] = {}
    for key in values:
        if not key.startswith(prefix):
            continue
        name, slash, _ = key.removeprefix(prefix).partition("/")
        # Keys are listed as "number=name": this marks a directory of keys in EC2's tree.
        names[f"{name}=key-{name}" if path == "public-keys" else name + slash] = None
    if not names:
        return None
    return "\n".join(name for name in names if name.rstrip("/") + "/" not in names or name.endswith("/")).encode()


def make_handler(find: FindMachine) -> type[BaseHTTPRequestHandler]:
    """Return a request handler class for one VPC."""

    class MetadataHandler(BaseHTTPRequestHandler):
        server_version = "metadata"
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            machine = find(IPv4Address(self.client_address[0]))
            body = answer(self.path, *machine) if machine else None
            self._send(HTTPStatus.OK if body is not None else HTTPStatus.NOT_FOUND, body or b"")

        def do_PUT(self) -> None:
            # The token of IMDSv2; later requests are not checked for it.
            length = self.headers.get("Content-Length") or "0"
            if not length.isdigit() or int(length) > _BODY_BYTES:
                self.close_connection = True  # The request body is not read: it would be kept in the host's memory.
                self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"")
                return
            self.rfile.read(int(length))
            known = self.path == "/latest/api/token"
            self._send(HTTPStatus.OK if known else HTTPStatus.NOT_FOUND, b"localcloud" if known else b"")

        def _send(self, status: HTTPStatus, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            del format, args

    return MetadataHandler
