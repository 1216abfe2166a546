"""The TCP ports that the program's own servers use on the nodes."""

from __future__ import annotations

from settings.data import DataSettings
from settings.iam import IamSettings

NGINX_PORTS = (80, 443)
NGINX_AND_SSH = {22: "SSH", **dict.fromkeys(NGINX_PORTS, "nginx")}
_IAM = {
    8080: "iam-apiserver", 8081: "iam-apiserver", 8443: "iam-apiserver", 9090: "iam-authz-server",
    9443: "iam-authz-server", 7070: "iam-pump",
}  # fmt: skip
_DATABASES = {3306: "MariaDB", 6379: "Redis"}


def iam_ports(iam: IamSettings, data: DataSettings) -> dict[int, str]:
    """The ports of the IAM services and of the databases on the nodes, with their owners."""
    if not iam.enabled:
        return {}
    return _IAM if data.outside_group else {**_IAM, **_DATABASES}
