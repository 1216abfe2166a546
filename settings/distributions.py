"""The distributions that nodes can run: one row each, with all that differs between them.

`shown` says where a row has run. What is marked `not run` follows the packages of that distribution and has unit tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

NginxVersion = Literal["1.18", "1.22", "1.26"]
DistributionName = Literal["debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04", "tencentos-3", "centos-8"]


@dataclass(frozen=True, slots=True)
class Family:
    """What a family of distributions calls its packages, units, paths and accounts."""

    packages: Literal["apt", "rpm"]  # the package manager
    web_user: str  # of nginx's worker processes
    log_group: str  # that may read the log files
    nginx_modules: str  # the files that load nginx's dynamic modules
    ssh_unit: str
    chrony_unit: str
    chrony_file: str
    redis_unit: str
    redis_command: str  # replaces that of the package's unit; "": it reads /etc/redis/redis.conf
    mariadb_file: str  # "{}" is the name of an option file
    keepalived_file: str  # with the options of the daemon
    keepalived_options: str  # the variable in it
    keepalived_type: str  # of the package's unit
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])  # names of packages, by those of Debian
    streams: Mapping[str, str] = field(default_factory=dict[str, str])  # dnf's module streams, by package
    permissive: tuple[str, ...] = ()  # domains that SELinux must not confine


@dataclass(frozen=True, slots=True)
class Distribution:
    name: DistributionName
    title: str
    os_id: str  # ID in /etc/os-release
    version: str  # VERSION_ID there, or its part before the first dot
    nginx: NginxVersion
    keepalived: str
    shown: str
    family: Family
    ssh_drop_ins: bool = True  # sshd reads /etc/ssh/sshd_config.d (OpenSSH 8.2)
    python: str = ""  # a Python that runs the agent, of its own package; "": that of the image does


_DEBIAN = Family(
    packages="apt", web_user="www-data", log_group="adm", nginx_modules="/etc/nginx/modules-enabled/*.conf",
    ssh_unit="ssh", chrony_unit="chrony", chrony_file="/etc/chrony/chrony.conf",
    redis_unit="redis-server", redis_command="", mariadb_file="/etc/mysql/mariadb.conf.d/{}.cnf",
    keepalived_file="/etc/default/keepalived", keepalived_options="DAEMON_ARGS", keepalived_type="notify",
)  # fmt: skip
_RHEL = Family(
    packages="rpm", web_user="nginx", log_group="root", nginx_modules="/usr/share/nginx/modules/*.conf",
    ssh_unit="sshd", chrony_unit="chronyd", chrony_file="/etc/chrony.conf",
    redis_unit="redis",
    redis_command="/usr/bin/redis-server /etc/redis/redis.conf --daemonize no --supervised systemd",
    # Read after the package's mariadb-server.cnf, in the order of the names.
    mariadb_file="/etc/my.cnf.d/tandem-{}.cnf",
    keepalived_file="/etc/sysconfig/keepalived", keepalived_options="KEEPALIVED_OPTIONS", keepalived_type="forking",
    renamed={
        "libnginx-mod-stream": "nginx-mod-stream",
        "mariadb-client-core": "mariadb",
        "openssh-client": "openssh-clients",
        "redis-server": "redis",
        "redis-tools": "redis",
    },
    streams={"nginx": "nginx:1.18", "redis": "redis:6", "mariadb-server": "mariadb:10.5", "mariadb": "mariadb:10.5"},
    # Their policies know neither the paths below /run/tandem and /srv nor the upstream ports.
    permissive=("httpd_t", "keepalived_t", "mysqld_t", "redis_t"),
)  # fmt: skip
_NOT_RUN = "not run; unit tests"

DISTRIBUTIONS: Mapping[str, Distribution] = {
    each.name: each
    for each in (
        Distribution("debian-12", "Debian 12", "debian", "12", "1.22", "2.2.7", "end to end", _DEBIAN),
        Distribution(
            "debian-13", "Debian 13", "debian", "13", "1.26", "2.3.3", "not run; its programs check all files", _DEBIAN
        ),
        Distribution(
            "ubuntu-22.04", "Ubuntu 22.04", "ubuntu", "22.04", "1.18", "2.2.4",
            "not run; its nginx version as a package of Debian 11", _DEBIAN,
        ),
        Distribution(
            "ubuntu-24.04", "Ubuntu 24.04", "ubuntu", "24.04", "1.22", "2.2.8",
            "not run; nginx 1.22 as a package of Debian 12, ssh.socket on Debian 12", _DEBIAN,
        ),
        Distribution(
            "tencentos-3", "TencentOS Server 3", "tencentos", "3", "1.18", "2.1.5", _NOT_RUN, _RHEL,
            ssh_drop_ins=False, python="python3.9",
        ),
        Distribution(
            "centos-8", "CentOS 8", "centos", "8", "1.18", "2.1.5", _NOT_RUN, _RHEL,
            ssh_drop_ins=False, python="python3.9",
        ),
    )
}  # fmt: skip
DEFAULT: DistributionName = "debian-12"
