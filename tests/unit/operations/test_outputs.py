"""The outputs that `tandem up` and `tandem outputs` show."""

from __future__ import annotations

import json
from typing import Any

from operations.outputs import read_changed_outputs, to_lines

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}


def log(old: dict[str, Any] | None, new: dict[str, Any], type_: str = "pulumi:pulumi:Stack") -> str:
    sides = {"old": {"outputs": old} if old is not None else None, "new": {"outputs": new}}
    return json.dumps({"resOutputsEvent": {"metadata": {"type": type_, "urn": "urn", **sides}}})


def test_a_first_run_shows_all_outputs_of_the_stack_without_secrets() -> None:
    outputs = {"ssh": {"port": 22, "private_key": SECRET}, "password": SECRET, "certificate": "one\ntwo\n"}
    lines = list(
        to_lines(read_changed_outputs([log(None, outputs), log(None, {"id": "x"}, "tencentcloud:Vpc/vpc:Vpc")]))
    )
    assert lines == [
        "certificate  one  (+1 lines)",
        "password     [secret]",
        'ssh          {"port": 22, "private_key": "[secret]"}',
    ]


def test_a_later_run_shows_only_the_outputs_that_it_has_changed() -> None:
    old, new = {"password": SECRET, "nodes": ["iam-a"], "profile": None}, {"password": SECRET, "nodes": ["iam-b"]}
    assert read_changed_outputs([log(old, new)]) == {"nodes": ["iam-b"]}
    assert read_changed_outputs([log(old, {**old, "new": None})]) == {"new": None}


def test_a_run_that_failed_before_the_end_of_the_program_has_changed_no_output() -> None:
    assert read_changed_outputs([json.dumps({"sequence": 1, "cancelEvent": {}})]) == {}
    assert list(to_lines({})) == []
