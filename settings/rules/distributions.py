"""What a distribution cannot do."""

from __future__ import annotations

from collections.abc import Iterator

from settings.data import DataSettings
from settings.distributions import DISTRIBUTIONS
from settings.iam import STAND_IN, IamSettings
from settings.keepalived import KeepalivedSettings
from settings.nodes import NodesSettings
from settings.problems import Problem
from settings.system import SystemSettings

_DOWN_TIMER_ADVERTS = (2, 2, 3)  # keepalived has it from this version on


def check_release_runs(nodes: NodesSettings, iam: IamSettings) -> Iterator[Problem]:
    distribution = DISTRIBUTIONS[nodes.distribution]
    if distribution.family.packages == "rpm" and iam.enabled and iam.release in {"", STAND_IN}:
        yield Problem(
            "tandem:iam.release",
            f"must name a release with nodes.distribution {distribution.name}: the stand-in uses Python packages of "
            "Debian",
        )


def check_system(nodes: NodesSettings, system: SystemSettings) -> Iterator[Problem]:
    distribution = DISTRIBUTIONS[nodes.distribution]
    if system.harden_ssh and not distribution.ssh_drop_ins:
        yield Problem(
            "tandem:system.hardenSsh",
            f"must be false with nodes.distribution {distribution.name}: its sshd does not read "
            "/etc/ssh/sshd_config.d; harden the image instead",
        )
    if system.security_updates and distribution.family.packages == "rpm":
        yield Problem(
            "tandem:system.securityUpdates",
            f"must be false with nodes.distribution {distribution.name}: only apt is supported; configure "
            "dnf-automatic in the image",
        )


def check_profile(nodes: NodesSettings, keepalived: KeepalivedSettings) -> Iterator[Problem]:
    distribution = DISTRIBUTIONS[nodes.distribution]
    version = tuple(int(part) for part in distribution.keepalived.split("."))
    if keepalived.profile == "fast" and version < _DOWN_TIMER_ADVERTS:
        yield Problem(
            "tandem:keepalived.profile",
            f"must be balanced with nodes.distribution {distribution.name}: keepalived {distribution.keepalived} lacks "
            "down_timer_adverts, without which a master that stalls for 60 ms would lose the virtual IP",
        )


def check_bucket(nodes: NodesSettings, data: DataSettings) -> Iterator[Problem]:
    distribution = DISTRIBUTIONS[nodes.distribution]
    if distribution.family.packages == "rpm" and data.backup.bucket is not None:
        yield Problem(
            "tandem:data.backup.bucket",
            f"cannot be set with nodes.distribution {distribution.name}, which has no package of rclone",
        )


RULES = (check_release_runs, check_system, check_profile, check_bucket)
