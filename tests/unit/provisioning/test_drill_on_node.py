from __future__ import annotations

import json

from provisioning.agent.drill import journal, run_script
from provisioning.agent.node import Node, Result


def entry(at: float, text: object, **fields: str) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": str(round(at * 1e6)), "MESSAGE": text, **fields})


def test_the_journal_has_time_unit_and_text_and_no_requests_of_the_services() -> None:
    asked: list[list[str]] = []
    lines = [
        entry(1000.25, "(VI_1) Entering MASTER STATE", _SYSTEMD_UNIT="keepalived.service"),
        entry(1000.5, "Stopped nginx.service", UNIT="nginx.service", _SYSTEMD_UNIT="init.scope"),
        entry(1000.6, [255, 0], _SYSTEMD_UNIT="nginx.service"),
        "not JSON",
    ]

    def run(argv: list[str], **_: object) -> Result:
        asked.append(argv)
        return Result(0, "\n".join(lines), "")

    assert journal(Node(runner=run, wall_clock=lambda: 1010.0), for_s=9.0) == {
        "at": 1010.0,
        "lines": [
            [1000.25, "keepalived", "(VI_1) Entering MASTER STATE"],
            [1000.5, "nginx", "Stopped nginx.service"],
        ],
    }
    (argv,) = asked
    assert "--since=@1000.000" in argv
    assert "UNIT=iam-apiserver.service" in argv
    assert "_SYSTEMD_UNIT=iam-apiserver.service" not in argv, "a line for each request would hide all others"


def test_a_script_returns_when_it_began_and_how_it_ended() -> None:
    done = run_script(Node(wall_clock=lambda: 1000.0), script="echo out; echo err >&2; exit 3", deadline_s=5)
    assert 0 < done.pop("took_s") < 5
    assert done == {"at": 1000.0, "code": 3, "out": "out\nerr"}
