"""Records `make up`, a failover and a preview on a localcloud of its own as pictures in docs/recordings.

python -m tests.recordings        (`make recordings`; requires root, and takes as long as `make up`)
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml

from tests.recordings.terminal import WIDTH, Step, as_text, draw, shortened

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "recordings"
NAME = "recording"
_PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
_ENVIRONMENT = {**os.environ, "LOCALCLOUD_NAME": NAME, "PATH": _PATH, "COLUMNS": str(WIDTH)}
_CLIENT = (
    "for n in $(seq 28); do curl -sk -m 1 -o /dev/null -w '%{http_code} ' "
    "--connect-to ::PUBLIC_IP https://iam.api.example.com/healthz; sleep 0.1; done"
)


def run(command: str, *, check: bool = True) -> str:
    """Run a command line; returns what it prints. Raises: CalledProcessError."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, env=_ENVIRONMENT, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if check and done.returncode:
        sys.stderr.write(done.stdout)
        done.check_returncode()
    return done.stdout.replace(str(ROOT), "~/tandem")


def on_terminal(command: str) -> str:
    """Run a command on a terminal, where it prints colours and tables as wide as the picture. It may fail."""
    return run(f"script --quiet --return --command {shlex.quote(command)} /dev/null", check=False).replace("\r", "")


def record_up() -> Step:
    return Step("make up", shortened(run("make up"), 4, 44))


def record_preview() -> Step:
    settings = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text())
    settings["config"].setdefault("tandem:nginx", {})["keepaliveTimeoutS"] = 30
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(settings, file)
        file.flush()
        output = run(f"tandem preview --markdown --config-file {file.name}")
    return Step("tandem preview --markdown", output.strip())


def record_failover() -> list[Step]:
    """Power off the master while a client asks ten times a second."""
    before = shortened(on_terminal("tandem status"), 2, 0)
    cloud = json.loads(run("localcloud status --json"))
    holder = cloud["virtual_addresses"][0]["holder"]
    master = next(machine["hostname"] for machine in cloud["machines"] if machine["instance"] == holder)
    client = shlex.quote(_CLIENT.replace("PUBLIC_IP", run("tandem outputs public_ip").strip()))
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(run(f"localcloud client -- sh -c {client}")))
    asking.start()
    time.sleep(1.5)
    fault = run(f"localcloud fault {master} power-off")
    asking.join()
    after = shortened(on_terminal("tandem status"), 2, 0)
    healed = run(f"localcloud fault {master} heal")
    return [
        Step("tandem status", before),
        Step(f"localcloud fault {master} power-off", fault),
        Step("# a client meanwhile: the status of each answer, 000 for none", answers[0]),
        Step("tandem status", after),
        Step(f"localcloud fault {master} heal", healed),
    ]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    try:
        for name, title, record in (
            ("up", "make up", lambda: [record_up()]),
            ("preview", "tandem preview", lambda: [record_preview()]),
            ("failover", "a failover", record_failover),
        ):
            steps = record()
            (FOLDER / f"{name}.svg").write_text(draw(title, steps))
            (FOLDER / f"{name}.txt").write_text("".join(map(as_text, steps)))
    finally:
        run("make down")


if __name__ == "__main__":
    main()
