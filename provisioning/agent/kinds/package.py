"""Debian packages."""

from __future__ import annotations

from typing import Any

from ..node import Node, StepError


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The version of each installed package."""
    result = node.run(["dpkg-query", "-W", "-f", "${Package}\t${db:Status-Status}\t${Version}\n", *questions])
    rows = (line.split("\t") for line in result.out.splitlines())
    return {row[0]: row[2] for row in rows if row[1] == "installed"}


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    packages = [item["name"] for item in items]
    node.before("install " + " ".join(packages))
    # Services must not start with the distribution's configuration; exit code 101 of policy-rc.d prevents that.
    policy = node.at("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.write_text("#!/bin/sh\n# created by tandem during an installation\nexit 101\n")
        policy.chmod(0o755)
    try:
        _install(node, packages)
    finally:
        if ours:
            policy.unlink()


def _install(node: Node, packages: list[str]) -> None:
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3",
           "-o", "Dpkg::Options::=--force-confold"]  # fmt: skip
    env = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    # Configures packages that an interrupted installation left unpacked.
    node.run(["dpkg", "--configure", "-a"], timeout_s=600, env=env)
    install = [*apt, "--no-install-recommends", "install", *packages]
    first = node.run(install, timeout_s=900, env=env)
    if first.code:
        updated = node.run([*apt, "update"], timeout_s=300, env=env)
        second = node.run(install, timeout_s=900, env=env)
        if second.code:
            seen = "\n".join([*updated.err.splitlines()[-6:], *second.err.splitlines()[-12:]])
            raise StepError("packages", f"apt-get cannot install {' '.join(packages)}", seen)
