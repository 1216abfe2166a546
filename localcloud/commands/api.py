"""`localcloud api`, and the commands that control a running API: actions, log, reset, fault api."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from localcloud.commands.context import DEFAULT_NAME, Control, Name
from localcloud.machines.paths import Paths
from localcloud.rules.timing import LONGEST_PAST_S

app = typer.Typer(no_args_is_help=True)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise typer.BadParameter(f"the address must be HOST:PORT, for example 127.0.0.1:8443 (got {text!r})")
    return host or "127.0.0.1", int(port)


def _credentials(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition(":") for text in texts]
    for secret_id, colon, key in pairs:
        if not (secret_id and colon and key):
            raise typer.BadParameter("credentials must have the form ID:KEY")
    return {secret_id: key for secret_id, _, key in pairs}


@app.command()
def api(  # noqa: PLR0917 - Typer turns them into options
    https: Annotated[str, typer.Option(help="HOST:PORT to serve HTTPS on; port 0 selects a free port.")] = "",
    http: Annotated[str, typer.Option(help="HOST:PORT to serve HTTP on.")] = "",
    state: Annotated[Path | None, typer.Option(help="SQLite file for the records; default: in memory.")] = None,
    credentials: Annotated[list[str] | None, typer.Option(help="ID:KEY; can be repeated.")] = None,
    ca_out: Annotated[Path | None, typer.Option(help="File to write the CA certificate to.")] = None,
    control: Annotated[Path | None, typer.Option(help="Socket for log, reset and fault; default: STATE.sock.")] = None,
    realistic: Annotated[bool, typer.Option(help="Transitions take as long as in the real cloud.")] = False,
    seed: Annotated[str, typer.Option(help="Seed of the ids: the same seed gives the same ids.")] = "0",
    region: Annotated[str, typer.Option(help="Region of requests without a region.")] = "ap-guangzhou",
    requests_per_second: Annotated[
        int | None, typer.Option(help="Limit for every action, 0 for none; default: the documented limits.")
    ] = None,
    account_type: Annotated[
        Literal["standard", "traditional"], typer.Option(help="Whether each EIP has its own bandwidth.")
    ] = "standard",
) -> None:
    """Serve only the API: no instances, no root. Prints `ready` and the addresses, and runs until it is stopped."""
    # Importing the API takes a third of a second, and the other commands do not need it.
    from localcloud.api.standalone import Options, run  # noqa: PLC0415 - slow
    from localcloud.reconcile.cloud import DEFAULT_CREDENTIALS  # noqa: PLC0415 - slow
    from localcloud.rules.timing import REALISTIC, SHORT  # noqa: PLC0415 - slow

    if not https and not http:
        raise typer.BadParameter("--https HOST:PORT or --http HOST:PORT is required")
    if control is None and state is not None:
        control = state.with_name(f"{state.name}.sock")
    run(
        Options(
            https=_address(https) if https else None,
            http=_address(http) if http else None,
            state=state,
            credentials=_credentials(credentials) if credentials else dict(DEFAULT_CREDENTIALS),
            ca_out=ca_out,
            control=control,
            timing=REALISTIC if realistic else SHORT,
            seed=seed,
            region=region,
            requests_per_second=requests_per_second,
            account=account_type,
        )
    )


ApiSocket = Annotated[Path | None, typer.Option("--control", help="Socket of a `localcloud api`; replaces --name.")]


def ask_admin(name: str, control: Path | None, method: str, path: str, data: dict[str, Any] | None = None) -> Any:
    """Send a request to the admin application of a daemon, or of a `localcloud api` with the socket `control`."""
    # The daemon serves it below /admin on its control socket; `localcloud api` has a separate socket for it.
    return Control(Paths(name), control).ask(method, path if control else f"/admin{path}", data)


@app.command()
def actions(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the generated part of docs/localcloud.md.")
    ] = False,
    service: Annotated[str, typer.Option(help="Print only this service.")] = "",
) -> None:
    """List the actions and the rules that they enforce, with the source of each rule."""
    from localcloud.api.reference import actions_as_data, page  # noqa: PLC0415 - slow

    data = actions_as_data()
    if as_json:
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif markdown:
        typer.echo(page(), nl=False)
    else:
        for at, of_service in data["services"].items():
            if service in {"", at}:
                _print_service(at, of_service)


def _print_service(service: str, of_service: dict[str, Any]) -> None:
    typer.secho(f"{service} {of_service['version']}", bold=True)
    for name, action in of_service["actions"].items():
        typer.echo(f"  {name}: {action['summary']}")
        for rule in action["rules"]:
            typer.echo(f"      {rule['code']}: {rule['rule']} [{rule['source']}: {rule['where']}]")


@app.command()
def log(
    name: Name = DEFAULT_NAME,
    control: ApiSocket = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new requests.")] = False,
    last: Annotated[int, typer.Option(help="Number of past requests to print.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show the last requests and their results."""
    entries = ask_admin(name, control, "GET", f"/log?last={last}")
    number = 0
    while True:
        for entry in entries:
            number = entry["number"]
            typer.echo(json.dumps(entry, ensure_ascii=False) if as_json else _as_line(entry))
        if not follow:
            return
        time.sleep(0.3)
        entries = ask_admin(name, control, "GET", f"/log?after={number}")


def _as_line(entry: dict[str, Any]) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(entry["at"]))
    ended = entry["error"] or "ok"
    parameters = json.dumps(entry["parameters"], ensure_ascii=False)
    return f"{at} {entry['took_ms']:6.1f} ms {entry['service']}:{entry['action']} {ended} {parameters}"


@app.command()
def reset(
    name: Name = DEFAULT_NAME,
    control: ApiSocket = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete all resources: instances, disks and networks of the cloud are destroyed."""
    if not yes:
        typer.confirm(f"Destroy everything in cloud {name}?", abort=True)
    ask_admin(name, control, "POST", "/reset")


def fault_api(  # noqa: PLR0917 - Typer turns them into options
    target: Annotated[str, typer.Argument(help="vpc:CreateVpc, 'vpc:*' or '*'; or `clear` or `list`.")],
    name: Name = DEFAULT_NAME,
    control: ApiSocket = None,
    code: Annotated[str, typer.Option(help="Error code of the response.")] = "",
    message: Annotated[str, typer.Option(help="Error message of the response.")] = "Fault injected by localcloud.",
    latency_ms: Annotated[float, typer.Option(help="Delay before the response.")] = 0.0,
    drop: Annotated[
        bool, typer.Option(help="Execute the request, then close the connection without a response.")
    ] = False,
    half: Annotated[
        bool, typer.Option(help="Execute the request, then close the connection in the middle of the response.")
    ] = False,
    stale_ms: Annotated[
        float, typer.Option(min=0, max=LONGEST_PAST_S * 1000, help="Age of the records that Describe* returns.")
    ] = 0.0,
    times: Annotated[int, typer.Option(help="Number of times; 0 until cleared.")] = 1,
    probability: Annotated[float, typer.Option(help="Probability from 0 to 1.")] = 1.0,
) -> None:
    """Inject faults into API calls: an error code, latency, stale data, a dropped connection, a truncated response."""
    if target == "list":
        answer = ask_admin(name, control, "GET", "/faults")
    elif target == "clear":
        answer = ask_admin(name, control, "DELETE", "/faults")
    else:
        settings = {
            "target": target,
            "code": code,
            "message": message,
            "latency_ms": latency_ms,
            "drop": drop,
            "half": half,
            "stale_ms": stale_ms,
            "times": times,
            "probability": probability,
        }
        answer = ask_admin(name, control, "POST", "/faults", settings)
    typer.echo(json.dumps(answer, indent=2))
