"""Debian packages."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path
from typing import Any

from ..files import beside, what_is
from ..node import Node, Result, StepError
from ..package_lock import run_when_free

INTERRUPTED = "interrupted installation"  # among the facts; contains a space, so no package has this name
_POLICY = "/usr/sbin/policy-rc.d"
# Exit code 101 forbids invoke-rc.d to start a service with the distribution's configuration. apt-get inherits the lock
# and holds it while it runs. The file has no effect while the lock is free, so a leftover does no harm.
_LOCK = "/run/tandem-apt.lock"
_POLICY_TEXT = f"""#!/bin/sh
# written by tandem for an installation
exec flock --nonblock --conflict-exit-code 101 {_LOCK} true
"""
_APT = ["flock", _LOCK, "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=0", "-o", "Acquire::Retries=2",
        "-o", "Acquire::http::Timeout=15", "-o", "Acquire::https::Timeout=15",
        "-o", "Dpkg::Options::=--force-confold"]  # fmt: skip
_ENV = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
_OTHER_APT = re.compile(r"^.*(Could not get lock|Unable to lock|was locked by another process).*$", re.MULTILINE)
_NOT_FETCHED = re.compile(r"^[EW]: Failed to fetch (\S+) +(.*)$", re.MULTILINE)


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The version of each installed package. `INTERRUPTED` is a key if an installation was killed."""
    result = node.run(["dpkg-query", "-W", "-f", "${Package}\t${db:Status-Status}\t${Version}\n", *questions])
    rows = (line.split("\t") for line in result.out.splitlines())
    installed = {row[0]: row[2] for row in rows if row[1] == "installed"}
    return {**installed, INTERRUPTED: _POLICY} if _is_ours(node.at(_POLICY)) else installed


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    packages = [item["name"] for item in items]
    node.before("install " + " ".join(packages))
    policy = node.at(_POLICY)
    if not what_is(policy) or _is_ours(policy):  # an administrator's own file or link is kept
        _write(node, policy)
    try:
        _install(node, packages)
    finally:
        if _is_ours(policy):
            node.before("delete policy-rc.d")
            policy.unlink()


def _write(node: Node, policy: Path) -> None:
    policy.parent.mkdir(parents=True, exist_ok=True)
    new = beside(policy)
    new.write_text(_POLICY_TEXT)
    new.chmod(0o755)
    node.before("write policy-rc.d")
    new.replace(policy)


def _is_ours(policy: Path) -> bool:
    return what_is(policy) == "a file" and "# written by tandem" in policy.read_text(errors="replace")


def _install(node: Node, packages: list[str]) -> None:
    # Configures packages that an interrupted installation left unpacked.
    _run(node, ["flock", _LOCK, "dpkg", "--configure", "-a"], timeout_s=600)
    install = [*_APT, "--no-install-recommends", "install", *packages]
    first = _run(node, install, timeout_s=900)
    if first.code:
        updated = _run(node, [*_APT, "update"], timeout_s=300)
        second = _run(node, install, timeout_s=900)
        if second.code:
            raise _failure(packages, updated.err, second.err)


def _run(node: Node, argv: list[str], timeout_s: float) -> Result:
    """Run apt-get or dpkg; again while another process holds one of apt's locks, such as apt-daily on a new node.

    `DPkg::Lock::Timeout` of apt does not cover the locks of the package lists and of the downloads.
    """
    node.before(" ".join(argv[2:4] if argv[2] == "dpkg" else ["apt-get", "update" if "update" in argv else "install"]))
    return run_when_free(node, "apt", argv, _OTHER_APT, timeout_s=timeout_s, env=_ENV)


def _failure(packages: list[str], updating: str, installing: str) -> StepError:
    not_fetched = list(dict.fromkeys(_NOT_FETCHED.findall(updating + "\n" + installing)))
    seen = [*(f"{url}: {reason}" for url, reason in not_fetched[:6]), *installing.splitlines()[-12:]]
    message = f"apt-get cannot install {' '.join(packages)}"
    if not_fetched:
        mirrors = sorted({urllib.parse.urlsplit(url).netloc for url, _ in not_fetched})
        message += f": the package mirror {', '.join(mirrors)} does not answer as expected"
    else:
        seen = [*updating.splitlines()[-6:], *seen]
    return StepError("packages", message, "\n".join(seen))
