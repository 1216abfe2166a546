"""Services of the user's own: release, configuration, unit and health gate of each, on the nodes that it names."""

from __future__ import annotations

from typing import cast

from provisioning import placeholders
from provisioning.deployment import App, Deployment, Node
from provisioning.kinds.base import Item, UnitAction, restart
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.last_run import LastRun
from provisioning.kinds.port import Port
from provisioning.kinds.steady import Steady
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.kinds.user import User
from provisioning.placeholders import Format
from provisioning.rendering import render
from provisioning.services.delivery import Delivery
from provisioning.services.packages import packages
from provisioning.services.service_unit import ServiceUnit
from settings.services import SECRET_REFERENCE

_HOLDS = "/usr/local/lib/tandem/holds-virtual-ip"
_STEADY_S = 5


def desired(deployment: Deployment, node: Node) -> list[Item]:
    apps = [app for app in deployment.apps if node in deployment.nodes_of(app)]
    condition = any(_condition(deployment, app) for app in apps)
    holds = [File(_HOLDS, render("app/holds-virtual-ip.sh.j2"), mode=0o755)] if condition else []
    return [*holds, *(item for app in apps for item in _app(deployment, node, app))]


def _app(deployment: Deployment, node: Node, app: App) -> list[Item]:
    settings, unit = app.settings, _unit(deployment, node, app)
    after = () if settings.schedule else (restart(app.unit),)
    delivery = Delivery(
        f"/opt/{app.unit}", app.bundle.source, app.bundle.sha256, app.bundle.path_below(f"/opt/{app.unit}"),
        settings.keep_releases, after,
    )  # fmt: skip
    return [
        *packages(deployment, *settings.packages),
        # By the name of the account: services that share it must agree about its home, which usermod cannot change
        # while one of them runs.
        User(app.user, home=f"/var/lib/{app.user}"),
        Directory(_configuration(app), group=app.user, mode=0o750),
        *delivery.received(),
        *_files(app, after),
        unit.file(),
        delivery.link(),
        *(_timer(deployment, app) if settings.schedule else _running(node, app)),
        delivery.old(),
    ]


def _unit(deployment: Deployment, node: Node, app: App) -> ServiceUnit:
    settings, limits = app.settings, app.settings.limits
    program, arguments = app.settings.program, app.settings.command[1:]
    variables = {
        "NODE": node.name,
        "ADDRESS": node.private_address,
        **({"PORT": str(settings.port)} if settings.port is not None else {}),
        "CONFIGURATION_DIRECTORY": _configuration(app),
        # Another account has another home, which the service cannot write to.
        **({} if app.user == app.unit else {"HOME": f"/var/lib/{app.unit}"}),
        **settings.env,
    }
    current = f"/opt/{app.unit}/current"
    return ServiceUnit(
        app.unit,
        "a service of tandem:services",
        user=app.user,
        working_directory=current,
        command=(f"{current}/{program}" if program else settings.command[0], *arguments),
        wants=tuple(f"app-{name}" for name in settings.depends_on),
        environment=tuple(variables.items()),
        environment_file=_secrets_file(app) if settings.secrets else "",
        state_directory=app.unit,
        runs_to_its_end=settings.schedule is not None,
        condition=_condition(deployment, app),
        stop_timeout_s=settings.stop_timeout_s,
        open_files=limits.open_files,
        memory_mib=limits.memory_mib,
        cpu_percent=limits.cpu_percent,
        tasks=limits.tasks,
    )


def _configuration(app: App) -> str:
    return f"/etc/{app.unit}"


def _secrets_file(app: App) -> str:
    # Not in the directory with the files of the service, so their names are free.
    return f"/etc/tandem/{app.unit}.env"


def _files(app: App, after: tuple[UnitAction, ...]) -> list[Item]:
    settings, secrets = app.settings, app.settings.secrets
    files: list[Item] = [
        File(f"{_configuration(app)}/{name}", _with_secrets(app, text), group=app.user, mode=0o640, after=after)
        for name, text in settings.files.items()
    ]
    if secrets:
        # systemd reads it as root, so the service needs no access.
        lines = [f'{name}="{_secret(app, name, "environment")}"\n' for name in secrets]
        files.append(File(_secrets_file(app), "".join(lines), mode=0o600, after=after))
    return files


def _with_secrets(app: App, text: str) -> str:
    return SECRET_REFERENCE.sub(lambda found: _secret(app, found[1], cast("Format | None", found[2])), text)


def _secret(app: App, name: str, as_: Format | None) -> str:
    secret = placeholders.service_secret(app.name, name)
    return placeholders.escaped_placeholder(secret, as_) if as_ else placeholders.placeholder(secret)


def _running(node: Node, app: App) -> list[Item]:
    """The unit, and the health gate that it must pass after a change."""
    settings, health = app.settings, app.settings.health
    if settings.port is None:
        return [Unit(app.unit), Steady(app.unit, _STEADY_S, deadline_s=health.deadline_s)]
    at = f"{node.private_address}:{settings.port}"
    url = f"tcp://{at}" if health.path is None else f"http://{at}{health.path}"
    return [
        Unit(app.unit),
        Gate(app.unit, url, health.status, deadline_s=health.deadline_s),
        Port(app.unit, node.private_address, settings.port),
    ]


# ---- schedules ------------------------------------------------------------------------------------------------------


def _timer(deployment: Deployment, app: App) -> list[Item]:
    schedule = app.settings.schedule
    assert schedule is not None
    # A node that was off does not know whether another one has run the command meanwhile.
    single = len(deployment.nodes_of(app)) == 1
    what = f"Runs {app.unit}.service at the times of tandem:services.{app.name}"
    return [Timer(app.unit, what, calendar=schedule, persistent=single), LastRun(app.unit)]


def _condition(deployment: Deployment, app: App) -> str:
    """The command that decides whether this node runs a scheduled command (docs/services.md).

    Every eligible node has the timer, and the node that holds the first virtual IP runs the command: VRRP has already
    elected exactly one live node, and follows its failures within a second. A lock would need a store that all nodes
    reach, which a stack without IAM does not have. One named node needs no condition.
    """
    if app.settings.schedule is None or len(deployment.nodes_of(app)) == 1:
        return ""
    # "+": the sandbox of the service has no netlink sockets, which `ip` needs.
    return f"+{_HOLDS} {deployment.virtual_ips[0]}"
