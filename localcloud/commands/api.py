"""`localcloud api`, and what an operator asks of a running API: actions, log, reset, fault api."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from localcloud.rules.timing import LONGEST_PAST_S

app = typer.Typer(no_args_is_help=True)

DEFAULT_NAME = "default"


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise typer.BadParameter(f"{text!r} is not HOST:PORT, as 127.0.0.1:8443")
    return host or "127.0.0.1", int(port)


def _credentials(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition(":") for text in texts]
    for secret_id, colon, key in pairs:
        if not (secret_id and colon and key):
            raise typer.BadParameter("credentials read ID:KEY")
    return {secret_id: key for secret_id, _, key in pairs}


@app.command()
def api(  # noqa: PLR0917 - Typer makes options of them
    https: Annotated[str, typer.Option(help="HOST:PORT to serve HTTPS on; port 0 chooses one.")] = "",
    http: Annotated[str, typer.Option(help="HOST:PORT to serve HTTP on.")] = "",
    state: Annotated[Path | None, typer.Option(help="SQLite file; without it, records live in memory.")] = None,
    credentials: Annotated[list[str] | None, typer.Option(help="ID:KEY; may be repeated.")] = None,
    ca_out: Annotated[Path | None, typer.Option(help="Where to write the CA's certificate.")] = None,
    control: Annotated[Path | None, typer.Option(help="Socket for log, reset, fault; default: STATE.sock.")] = None,
    realistic: Annotated[bool, typer.Option(help="Transitions take as long as in the real cloud.")] = False,
    seed: Annotated[str, typer.Option(help="The same seed gives the same ids.")] = "0",
    region: Annotated[str, typer.Option(help="Region of requests that name none.")] = "ap-guangzhou",
    requests_per_second: Annotated[
        int | None, typer.Option(help="One limit for every action, 0 for none; without it, what each page says.")
    ] = None,
    account_type: Annotated[
        Literal["standard", "traditional"], typer.Option(help="Whether EIPs have a bandwidth of their own.")
    ] = "standard",
) -> None:
    """Serve the API alone: no machines, no root. Prints `ready` and the addresses, and runs until it is stopped."""
    # The API's imports take a third of a second, and the other commands need none of them.
    from localcloud.api.standalone import Options, run  # noqa: PLC0415 - slow
    from localcloud.reconcile.cloud import DEFAULT_CREDENTIALS  # noqa: PLC0415 - slow
    from localcloud.rules.timing import REALISTIC, SHORT  # noqa: PLC0415 - slow

    if not https and not http:
        raise typer.BadParameter("give --https HOST:PORT or --http HOST:PORT")
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


Name = Annotated[str, typer.Option("--name", envvar="LOCALCLOUD_NAME", help="Which cloud.")]
ApiSocket = Annotated[Path | None, typer.Option("--control", help="Socket of a `localcloud api`, instead of --name.")]


def ask_admin(name: str, control: Path | None, method: str, path: str, **arguments: Any) -> Any:
    """Ask a daemon, or a lone `localcloud api`, on its socket. Ends the command with a message where nobody answers."""
    import httpx  # noqa: PLC0415 - the server needs no client, and its start is measured

    # A daemon serves this below /admin on its control socket; `localcloud api` has a socket for it alone.
    socket_path = control or Path("/run/localcloud") / name / "control.sock"
    prefix = "" if control else "/admin"
    if not socket_path.exists():
        typer.echo(f"localcloud {name}: there is no {socket_path}; is it up?", err=True)
        raise typer.Exit(1)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket_path)), timeout=30) as client:
            answer = client.request(method, f"http://localcloud{prefix}{path}", **arguments)
    except httpx.TransportError as error:
        typer.echo(f"localcloud {name}: nothing answers at {socket_path} ({error}); is it up?", err=True)
        raise typer.Exit(1) from None
    if answer.is_error:
        typer.echo(f"localcloud {name}: {socket_path} answered {answer.status_code}: {answer.text[:200]}", err=True)
        raise typer.Exit(1)
    return answer.json()


@app.command()
def actions(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/localcloud.md has it.")] = False,
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
) -> None:
    """List the actions, and each rule that they enforce with its source."""
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
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as requests come.")] = False,
    last: Annotated[int, typer.Option(help="How many to begin with.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on each line.")] = False,
) -> None:
    """Show the last requests and how they ended."""
    entries = ask_admin(name, control, "GET", "/log", params={"last": last})
    number = 0
    while True:
        for entry in entries:
            number = entry["number"]
            typer.echo(json.dumps(entry, ensure_ascii=False) if as_json else _in_words(entry))
        if not follow:
            return
        time.sleep(0.3)
        entries = ask_admin(name, control, "GET", "/log", params={"after": number})


def _in_words(entry: dict[str, Any]) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(entry["at"]))
    ended = entry["error"] or "ok"
    parameters = json.dumps(entry["parameters"], ensure_ascii=False)
    return f"{at} {entry['took_ms']:6.1f} ms {entry['service']}:{entry['action']} {ended} {parameters}"


@app.command()
def reset(
    name: Name = DEFAULT_NAME,
    control: ApiSocket = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget every resource: machines, disks and networks of the cloud are destroyed."""
    if not yes:
        typer.confirm(f"Destroy everything in cloud {name}?", abort=True)
    ask_admin(name, control, "POST", "/reset")


def fault_api(  # noqa: PLR0917 - Typer makes options of them
    target: Annotated[str, typer.Argument(help="vpc:CreateVpc, 'vpc:*' or '*'; `clear` or `list` instead.")],
    name: Name = DEFAULT_NAME,
    control: ApiSocket = None,
    code: Annotated[str, typer.Option(help="Error code to answer with.")] = "",
    message: Annotated[str, typer.Option(help="Its message.")] = "A fault that localcloud was told to make.",
    latency_ms: Annotated[float, typer.Option(help="Wait before answering.")] = 0.0,
    drop: Annotated[bool, typer.Option(help="Do the request, then close the connection without an answer.")] = False,
    half: Annotated[bool, typer.Option(help="Do the request, then break off in the middle of the answer.")] = False,
    stale_ms: Annotated[
        float, typer.Option(min=0, max=LONGEST_PAST_S * 1000, help="A Describe* sees the records as they were then.")
    ] = 0.0,
    times: Annotated[int, typer.Option(help="How often; 0 until cleared.")] = 1,
    probability: Annotated[float, typer.Option(help="From 0 to 1.")] = 1.0,
) -> None:
    """Let API calls fail: an error code, latency, stale data, a dropped connection, half an answer."""
    if target == "list":
        answer = ask_admin(name, control, "GET", "/faults")
    elif target == "clear":
        answer = ask_admin(name, control, "DELETE", "/faults")
    else:
        wanted = {
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
        answer = ask_admin(name, control, "POST", "/faults", json=wanted)
    typer.echo(json.dumps(answer, indent=2))
