"""`localcloud up | down | status`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from localcloud.commands.api import ApiSocket, ask_admin
from localcloud.commands.context import DEFAULT_NAME, LONGEST_DELAY_S, Control, Name, network_failure, require_root
from localcloud.commands.doctor import require_tools
from localcloud.errors import LocalcloudError, NetworkError
from localcloud.machines.paths import Paths
from localcloud.machines.store import ImageStore
from localcloud.machines.tear_down import tear_down

_READY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0
_NETWORK_TIMEOUT_S = 5.0


def up(
    name: Name = DEFAULT_NAME,
    *,
    timing: Annotated[Literal["short", "realistic"], typer.Option(help="Duration of the API's transitions.")] = "short",
    takeover_delay: Annotated[
        float | None,
        typer.Option(min=0.0, max=LONGEST_DELAY_S, help="Seconds until traffic follows a HAVIP's announcement."),
    ] = None,
    account_type: Annotated[
        Literal["standard", "traditional"], typer.Option(help="Whether each EIP has its own bandwidth.")
    ] = "standard",
    image: Annotated[
        str | None, typer.Option(help="Also build this image, for example img-debian13, which takes minutes.")
    ] = None,
) -> None:
    """Start or resume the cloud: build missing images, then start network, API and instances."""
    paths = Paths(name)
    require_root()
    require_tools()  # before any file is created
    control = Control(paths)
    with _one_at_a_time(paths):
        if image is not None:
            ImageStore().ensure(_report, image)
        if control.answers():
            _require_network(control, paths)
            typer.echo(f"cloud {name} is already up")
            return
        began = time.monotonic()
        ImageStore().ensure(_report)
        _start_daemon(paths, timing, takeover_delay, account_type)
    status = _require_network(control, paths)
    resumed = sum(machine["running"] for machine in status["machines"])
    machines = f", {resumed} instances running" if status["machines"] else ""
    typer.echo(f"cloud {name} is up after {time.monotonic() - began:.1f} s{machines}")


def down(
    name: Name = DEFAULT_NAME,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep records and disks for the next `up`.")] = False,
) -> None:
    """Stop the cloud and remove everything, also after all its processes were killed."""
    paths = Paths(name)
    require_root()
    with _one_at_a_time(paths) as lock:
        _stop_daemon(paths)
        try:
            tear_down(paths, keep_state=keep, report=_report)
        except TimeoutError as error:
            raise LocalcloudError(str(error)) from error
        lock.unlink()
        with contextlib.suppress(OSError):
            lock.parent.rmdir()
    typer.echo(f"cloud {name} is down" + ("; records and disks are kept" if keep else ""))


def status(
    name: Name = DEFAULT_NAME,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    control: ApiSocket = None,
) -> None:
    """Show instances, networks, and which instance holds each HAVIP. --control: records of a `localcloud api`."""
    if control is not None:
        _print_api_status(ask_admin(name, control, "GET", "/status"), as_json=as_json)
        return
    paths = Paths(name)
    try:
        found = Control(paths).get("/control/status")
    except LocalcloudError:
        if not as_json:
            raise
        typer.echo(json.dumps({"cloud": name, "up": False}))
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({"up": True, **found}, indent=2))
        return
    _print_status(found, paths)


def _print_api_status(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"up": True, **found}, indent=2))
        return
    typer.echo(f"the API of {found['region']} is up for {found['uptime_s']:.0f} s; requests: {found['requests']}")
    for kind, count in sorted(found["records"].items()):
        typer.echo(f"  {count:>5} {kind}")


@contextlib.contextmanager
def _one_at_a_time(paths: Paths) -> Generator[Path]:
    """Serialise concurrent `up` and `down` of one cloud."""
    lock = paths.run_root / f"{paths.cloud}.lock"
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # `down` deletes the file: a process that waited for the old file must lock the new one.
            if lock.exists() and lock.stat().st_ino == os.fstat(handle.fileno()).st_ino:
                yield lock
                return


def _require_network(control: Control, paths: Paths) -> dict[str, Any]:
    """Wait until the network matches the records; return the status. Raises NetworkError with the reason."""
    deadline = time.monotonic() + _NETWORK_TIMEOUT_S
    status = control.get("/control/status")
    while status["records"]["network"]["changes_behind"] and time.monotonic() < deadline:
        time.sleep(0.05)
        status = control.get("/control/status")
    if failure := network_failure(status, paths):
        raise NetworkError(failure)
    return status


def _report(text: str) -> None:
    typer.echo(f"  {text}", err=True)


def _start_daemon(paths: Paths, timing: str, takeover_delay_s: float | None, account: str) -> None:
    """Raises LocalcloudError with the end of the daemon's log if it does not start."""
    for directory in (paths.run, paths.state):
        directory.mkdir(parents=True, exist_ok=True)
    paths.identity()
    log = paths.daemon_log
    command = [sys.executable, "-m", "localcloud.daemon", paths.cloud, "--timing", timing, "--account-type", account]
    if takeover_delay_s is not None:
        command += ["--takeover-delay", str(takeover_delay_s)]
    package = Path(__file__).resolve().parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")]).rstrip(":"),
    }
    with log.open("ab") as output:
        began = output.tell()
        daemon = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    deadline = time.monotonic() + _READY_TIMEOUT_S
    control = Control(paths)
    while not control.answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                daemon.kill()
            tail = log.read_bytes()[began:].decode(errors="replace").strip().splitlines()[-15:]
            raise LocalcloudError("the daemon did not start:\n  " + "\n  ".join(tail) + f"\n  see: {log}")
        time.sleep(0.05)
    daemon.returncode = 0  # the daemon outlives this command on purpose


def _stop_daemon(paths: Paths) -> None:
    """Send SIGTERM to the daemon, and SIGKILL after the time limit."""
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    asked: set[int] = set()
    while (pid := _daemon_pid(paths)) is not None:
        late = time.monotonic() > deadline
        if late or pid not in asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            asked.add(pid)
        time.sleep(0.02)


def _daemon_pid(paths: Paths) -> int | None:
    """Find the daemon of this cloud by its command line: a pid file may be outdated."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"localcloud.daemon" in words and words[words.index(b"localcloud.daemon") + 1] == paths.cloud.encode():
                return int(entry.name)
    return None


def _print_status(found: dict[str, Any], paths: Paths) -> None:
    from rich.console import Console  # noqa: PLC0415 - `localcloud exec` starts faster without Rich
    from rich.table import Table  # noqa: PLC0415 - as above

    console = Console(soft_wrap=True, highlight=False)
    holders = {entry["holder"]: entry["address"] for entry in found["virtual_addresses"] if entry["holder"]}
    public = {entry["private"]: entry["public"] for entry in found["public_addresses"]}
    table = Table("NAME", "INSTANCE", "ADDRESS", "PUBLIC", "STATE", "HOLDS", "MiB", box=None)
    for machine in found["machines"]:
        state = "paused" if machine["paused"] else "running" if machine["running"] else "stopped"
        table.add_row(
            machine["name"],
            machine["instance"],
            machine["address"],
            public.get(machine["address"], ""),
            state,
            holders.get(machine["instance"], ""),
            str(machine["memory_mib"]),
        )
    console.print(f"cloud {found['cloud']} is up")
    if found["machines"]:
        console.print(table)
    for entry in found["virtual_addresses"]:
        console.print(
            f"virtual IP {entry['address']} ({entry['havip']}): held by {entry['holder'] or 'none'}, "
            f"public {public.get(entry['address'], 'none')}"
        )
    for entry in found["exposed"]:
        console.print(f"{entry['public']} is exposed at {entry['local']} of this host")
    if failure := network_failure(found, paths):
        console.print(failure)
