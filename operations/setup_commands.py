"""The commands of `tandem` before a deployment: init, config check, doctor."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from operations.engine import Engine, open_engine
from operations.errors import NoDeploymentError, OperationError, UsageError
from operations.new_stack import make_answers, render, write
from operations.options import Stack, examples
from operations.stack_names import name_stack_in
from operations.workspace import PROJECT_ROOT, find_workspace, shorten
from provisioning.health.results import CheckResult, HealthReport, fail, warning

app = typer.Typer()
config = typer.Typer(no_args_is_help=True, help="Check the settings of stacks.", epilog=examples("tandem config check"))
app.add_typer(config, name="config")
_STACKS = PROJECT_ROOT / "stacks"
_ASK = sys.stdin.isatty()  # otherwise a missing option is an error


@app.command(
    epilog=examples(
        "tandem init demo",
        "tandem init demo --region ap-guangzhou --zone ap-guangzhou-6 --image img-1234abcd --admin 198.51.100.0/24 "
        "--api-domain iam.api.example.com --authz-domain iam.authz.example.com",
    )
)
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new stack.")],
    *,
    region: Annotated[str, typer.Option(prompt=_ASK, help="Region of all resources.")],
    zone: Annotated[str, typer.Option(prompt=_ASK, help="Availability zone of the subnet.")],
    image: Annotated[str, typer.Option(prompt=_ASK and "Image (Debian 12)", help="Image of the nodes: Debian 12.")],
    api_domain: Annotated[
        str, typer.Option(prompt=_ASK and "Host name of the API", help="Public name of iam-apiserver.")
    ],
    authz_domain: Annotated[
        str, typer.Option(prompt=_ASK and "Host name of the authorization", help="Public name of iam-authz-server.")
    ],
    admin: Annotated[
        list[str] | None, typer.Option(help="A network that may use SSH, for example 198.51.100.0/24; repeat it.")
    ] = None,
    instance_type: Annotated[str, typer.Option("--type", help="Instance type of the nodes.")] = "S5.MEDIUM2",
    subnet: Annotated[str, typer.Option(help="The subnet; it must not overlap your other networks.")] = "10.3.4.0/24",
    node: Annotated[list[str] | None, typer.Option(help="Name of a node; repeat it. Default: iam-a, iam-b.")] = None,
    access: Annotated[str, typer.Option(help="How SSH reaches the nodes: bastion, public or direct.")] = "bastion",
) -> None:
    """Create the settings file of a new stack, with comments. On a terminal, asks for options that are missing."""
    from settings.check import check_file  # noqa: PLC0415 - pydantic takes 0.3 s to import

    answers = make_answers(
        name, region, zone, image, instance_type, subnet, node or ("iam-a", "iam-b"), access,
        admin or _ask_networks(), (api_domain, authz_domain),
    )  # fmt: skip
    file = _STACKS / f"Pulumi.{name}.yaml"
    write(file, render(answers))
    checked = check_file(file, name)
    if checked.problems:
        file.unlink()
        lines = [shorten(f"{problem.key}  {problem.text}") for problem in checked.problems]
        raise UsageError("\n  ".join(["the stack was not created:", *lines]))
    typer.echo(
        f"Created {file.relative_to(PROJECT_ROOT)}. Next: read it, then\n"
        f"  pulumi stack init {name}\n  tandem doctor --stack {name}\n  tandem preview --stack {name}"
    )


def _ask_networks() -> list[str]:
    # Not a prompt of the option: the one of an option with several values accepts no answer.
    if not _ASK:
        raise typer.BadParameter("is required", param_hint="--admin")
    return str(typer.prompt("Your networks, for SSH, separated by commas")).replace(",", " ").split()


@config.command("check", epilog=examples("tandem config check", "tandem config check stacks/Pulumi.prod.yaml"))
def check(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Default: all of stacks/.")] = None,
) -> None:
    """Report all problems of the settings of every stack, without running Pulumi. Exit code 1 if there is a problem."""
    from settings.check import check_file, describe, find_files  # noqa: PLC0415 - as above

    results = [check_file(file) for file in files or find_files(_STACKS)]
    for result in results:
        typer.echo(shorten("\n".join(describe(result))))
    if any(result.problems for result in results):
        raise typer.Exit(1)


@app.command(epilog=examples("tandem doctor", "tandem doctor --stack prod"))
def doctor(stack: Stack = "local") -> None:
    """Find what would prevent a deployment: the operator's host, the account, the nodes; each with its remedy.

    Does not look at the services, as `tandem health` does.
    Exit code 1 if something must be changed.
    """
    from operations.health import make_table  # noqa: PLC0415 - HTTP and SSH take 0.5 s to import

    report = name_stack_in(HealthReport(tuple(_examine(stack))), stack)
    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(make_table(report, stack, "Findings for", "remedy"))
    if not report.healthy:
        raise typer.Exit(1)


def _examine(stack: str) -> Iterator[CheckResult]:
    from operations import doctor as checks  # noqa: PLC0415 - as above
    from operations.account_checks import check_account  # noqa: PLC0415 - as above
    from provisioning.cloud_calls import connect, has_credentials  # noqa: PLC0415 - as above
    from settings.check import check_file  # noqa: PLC0415 - as above

    yield from checks.check_operator()
    local = find_workspace(stack, os.environ)
    checked = check_file((local and local.config_file) or _STACKS / f"Pulumi.{stack}.yaml", stack)
    yield checks.check_settings(shorten(checked.file), checked.problems, stack)
    try:
        engine = open_engine(stack)
    except OperationError as error:
        first, *rest = str(error).splitlines()
        look_at = " ".join(map(str.strip, rest)) or "docs/team.md, State in a bucket"
        yield fail(checks.OPERATOR, "stack", first, look_at)
        if checked.settings is not None:
            # Before the first login, too: the key is in the environment, the region in the file.
            environment = {**os.environ, "region": checked.settings.region}
            call = connect(environment) if has_credentials(environment) else None
            yield from check_account(checked.settings, call, deployed=False)
        return
    yield checks.check_plugins(engine.plugins(), replaced="LOCALCLOUD_PLUGINS" in os.environ)
    yield checks.check_clock(checks.read_date(engine.cloud_settings()))
    deployed = tuple(_deployed(engine, stack))
    if checked.settings is not None:
        nothing = any(result.name == "deployment" for result in deployed)
        yield from check_account(checked.settings, engine.call_api(), deployed=not nothing)
    yield from deployed


def _deployed(engine: Engine, stack: str) -> Iterator[CheckResult]:
    from operations import doctor as checks  # noqa: PLC0415 - as above
    from operations.recorded import read_deployment  # noqa: PLC0415 - as above
    from provisioning.ssh.connections import connector  # noqa: PLC0415 - as above

    try:
        group = read_deployment(engine.deployment(), stack)
    except NoDeploymentError:
        yield warning("nodes", "deployment", "nothing is deployed", f"tandem up --stack {stack}")
        return
    except OperationError as error:
        yield fail(checks.OPERATOR, "passphrase", str(error).splitlines()[0], "PULUMI_CONFIG_PASSPHRASE")
        return
    yield from checks.check_filing(group)
    yield from checks.check_nodes(group.inventory, connector(group.inventory, deadline_s=10))
