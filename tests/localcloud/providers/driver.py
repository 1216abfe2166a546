"""Run Pulumi commands on a program in a separate process, with JSON lines as input and output.

pulumi.automation leaves event loops and sockets open, which pytest would report.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from pulumi import automation


def _open_stack(request: dict[str, Any]) -> automation.Stack:
    directory = Path(request["directory"])

    def program() -> None:
        exec(compile(request["program"], "program", "exec"), {})  # noqa: S102 - the program of the test

    stack = automation.create_or_select_stack(
        "dev",
        "little",
        program=program,
        opts=automation.LocalWorkspaceOptions(
            work_dir=str(directory),
            project_settings=automation.ProjectSettings(
                "little", "python", backend=automation.ProjectBackend(f"file://{directory}")
            ),
            env_vars=request["environment"],
            pulumi_home=str(directory / "home"),
        ),
    )
    stack.set_all_config({name: automation.ConfigValue(value) for name, value in request["config"].items()})
    return stack


def _run(request: dict[str, Any]) -> dict[str, Any]:
    events: list[automation.EngineEvent] = []
    written: list[str] = []
    failed = False
    try:
        command = getattr(_open_stack(request), request["command"])
        command(on_event=events.append, on_output=written.append)
    except automation.CommandError:
        failed = True
    steps = [event.resource_pre_event.metadata for event in events if event.resource_pre_event]
    summaries = [event.summary_event for event in events if event.summary_event]
    return {
        "failure": "\n".join(written) if failed else "",
        "changes": {str(name): count for one in summaries for name, count in one.resource_changes.items()},
        "steps": [
            {
                "name": one.urn.rsplit("::", 1)[1],
                "type": one.type,
                "operation": _text(one.op),
                "changed": sorted(one.diffs or ()),
                "differences": {path: _text(each.diff_kind) for path, each in (one.detailed_diff or {}).items()},
            }
            for one in steps
        ],
    }


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))


def _answer(request: dict[str, Any]) -> Any:
    if request["command"] == "export":
        return _open_stack(request).export_stack().deployment
    if request["command"] == "outputs":
        outputs = _open_stack(request).outputs()
        return {name: "[secret]" if one.secret else one.value for name, one in outputs.items()}
    return _run(request)


def main() -> None:
    # Output of the program and of Pulumi goes to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
