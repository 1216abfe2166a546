"""`tandem preview --markdown`: the comment of a pull request, from events of the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operations.events import read_preview
from operations.preview_comment import LIMIT, marker, to_markdown

SNAPSHOT = Path(__file__).parent / "snapshots" / "preview.md"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_URN = "urn:pulumi:prod::tandem::"


def step(op: str, type_: str, name: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    sides = {side: {"inputs": inputs} for side, inputs in (("old", old), ("new", new)) if inputs is not None}
    metadata = {"op": op, "urn": f"{_URN}{type_}::{name}", "type": type_, **sides}
    return json.dumps({"sequence": 1, "resourcePreEvent": {"metadata": metadata, "planning": True}})


def message(severity: str, text: str) -> str:
    return json.dumps({"diagnosticEvent": {"severity": severity, "message": f"<{{%fg 1%}}>{text}<{{%reset%}}>\n"}})


def rollout(timeout: int, *, text: str = "") -> dict[str, Any]:
    """Rendered files as inputs: two nodes, and a user that only iam-a gets with the shorter time-out."""
    path, unit, user = "/etc/nginx/nginx.conf", '{"kind": "unit", "name": "nginx"}', '{"kind": "user", "name": "web"}'
    conf = f"http {{\n    sendfile on;\n    keepalive_timeout {timeout}s;\n}}\n{text}"
    file = json.dumps({"kind": "File", "path": path, "after": ["reload nginx"]})
    items = {"iam-a": [unit, file, *([user] if timeout == 30 else [])], "iam-b": [unit, file]}
    return {
        "files": {node: {path: f"@@ {node}:{path}\n{conf}"} for node in items},
        "manifests": {node: "\n".join([f"@@ {node}", *lines]) for node, lines in items.items()},
        "secrets": "[secret]",
        "__provider": str(timeout),
    }


def update(new: dict[str, Any]) -> str:
    return step("update", "pulumi-python:dynamic/tandem:Rollout", "rollout", rollout(65), new)


EIP, INSTANCE = "tencentcloud:Eip/instance:Instance", "tencentcloud:Instance/instance:Instance"
BEFORE, AFTER = {"privateIp": "10.2.4.21"}, {"privateIp": "10.2.4.31", "userDataRaw": UNKNOWN}
EVENTS = [
    step("same", "pulumi:pulumi:Stack", "tandem-prod", {}, {}),
    step(
        "update", EIP, "vip-eip", {"bandwidth": 100, "password": "[secret]"}, {"bandwidth": 200, "password": "[secret]"}
    ),
    step("create", INSTANCE, "nodes.iam-c", None, {"hostname": "iam-c"}),
    step("delete-replaced", INSTANCE, "nodes.iam-b", BEFORE, None),
    step("replace", INSTANCE, "nodes.iam-b", BEFORE, AFTER),
    step("create-replacement", INSTANCE, "nodes.iam-b", BEFORE, AFTER),
    step("delete", "random:index/randomPassword:RandomPassword", "credentials-old", {"length": 32}, None),
    step("read", "tencentcloud:Images/getInstance", "ignored", None, {}),
    step("update", "pulumi-python:dynamic/tandem:Rollout", "rollout", rollout(65), rollout(30)),
    message("warning", "tandem:credentials.generation.jwtKey changes from 1 to 2: users log in again."),
    message("info", "not shown"),
]


def test_the_comment_is_the_snapshot() -> None:
    assert to_markdown(read_preview(EVENTS), "prod") == SNAPSHOT.read_text()


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("reload nginx", "`reload nginx` on iam-a"),
        ("restart iam-pump", "`restart iam-pump` on iam-a"),
        ("restart nginx", "`restart nginx` on iam-a (a node that holds the virtual IP is switched over first)"),
        ("reload keepalived", "`reload keepalived` on iam-a (a node that holds the virtual IP is switched over first)"),
    ],
)
def test_the_comment_has_the_reloads_and_restarts_of_existing_nodes(action: str, shown: str) -> None:
    def inputs(text: str, *nodes: str) -> dict[str, Any]:
        item = json.dumps({"kind": "File", "path": "/etc/a", "after": [action]})
        other = json.dumps({"kind": "File", "path": "/etc/b", "after": ["restart other"]})
        return {
            "files": {node: {"/etc/a": f"@@\n{text}", "/etc/b": "@@\nsame"} for node in nodes},
            "manifests": dict.fromkeys(nodes, f"@@\n{item}\n{other}"),
        }

    old, new = inputs("old", "iam-a"), inputs("new", "iam-a", "iam-new")
    event = step("update", "pulumi-python:dynamic/tandem:Rollout", "rollout", old, new)
    assert f"\n**Then on the nodes:** {shown}\n" in to_markdown(read_preview([event]), "prod")


def test_the_comment_starts_with_the_marker_by_which_a_workflow_finds_it() -> None:
    assert to_markdown(read_preview([]), "prod").startswith(marker("prod") + "\n")


def test_without_changes_the_comment_reports_it() -> None:
    text = to_markdown(read_preview([step("same", "pulumi:pulumi:Stack", "tandem-prod", {}, {})]), "prod")
    assert "no changes, 1 unchanged" in text
    assert "|" not in text


def test_a_failed_preview_shows_its_error_as_it_is() -> None:
    report = "stacks/Pulumi.prod.yaml has 1 problem:\n  tandem:x  <b> is not a known key"
    text = to_markdown(read_preview([message("error", report)]), "prod")
    assert "Preview of stack `prod`: failed" in text
    assert f"**Error**\n\n```\n{report}\n```\n" in text


def test_a_traceback_is_left_out() -> None:
    error = 'the program failed: no such zone\nTraceback (most recent call last):\n  File "x.py", line 1\nKeyError: 1'
    text = to_markdown(read_preview([message("error", error)]), "prod")
    assert "```\nthe program failed: no such zone\n```" in text


def test_the_providers_are_not_shown() -> None:
    text = to_markdown(read_preview([step("create", "pulumi:providers:tls", "default", None, {})]), "prod")
    assert "default" not in text
    assert "no changes, 0 unchanged" in text


def test_an_error_that_the_engine_repeats_is_shown_once() -> None:
    report = "stacks/Pulumi.prod.yaml has 1 problem:\n  tandem:x  is not a known key"
    events = [message("error", report), message("error", f"an unhandled error occurred:\n{report}\n")]
    assert read_preview(events).errors == (report,)
    assert read_preview(events[1:]).errors == (report,)


def test_of_a_changed_item_only_the_changed_fields_are_shown() -> None:
    old, new = rollout(65), rollout(65)
    long, many = {"kind": "vrrp", "together": ["x" * 500, "y" * 500]}, "\n" + '{"kind": "unit", "name": "app"}'
    for inputs, profile in ((old, "balanced"), (new, "fast")):
        inputs["manifests"]["iam-a"] += many + "\n" + json.dumps({**long, "values": profile})
    text = to_markdown(read_preview([step("update", "pulumi-python:dynamic/tandem:Rollout", "rollout", old, new)]), "p")
    assert '-vrrp values="balanced"\n+vrrp values="fast"\n' in text
    assert "together" not in text


def test_nodes_that_change_alike_share_one_block_and_others_have_their_own() -> None:
    new = rollout(30)
    new["files"]["iam-b"]["/etc/nginx/nginx.conf"] += "extra\n"
    text = to_markdown(read_preview([update(new)]), "prod")
    assert "iam-a\n\n```diff" in text
    assert "iam-b\n\n```diff" in text
    assert text.count("+    keepalive_timeout 30s;") == 2
    assert text.count("+extra") == 1


def test_nodes_that_all_change_alike_are_named_once() -> None:
    assert to_markdown(read_preview([update(rollout(30))]), "prod").count("</code> on iam-a, iam-b") == 1


def test_a_text_cannot_end_its_fence() -> None:
    new = rollout(65, text="```\n<script>\n")
    text = to_markdown(read_preview([update(new)]), "prod")
    assert "````diff" in text
    assert "+```\n" in text


@pytest.mark.parametrize("size", [100, 20_000, 400_000])
def test_the_comment_never_exceeds_the_limit_and_names_what_is_left_out(size: int) -> None:
    new = rollout(65)
    for number in range(30):
        new["files"]["iam-a"][f"/etc/{number}"] = "@@\n" + f"{'x' * 90}\n" * (size // 3000)
    text = to_markdown(read_preview([update(new)]), "prod")
    assert len(text) <= LIMIT
    assert text.count("<details>") == text.count("</details>")
    assert ("changed files are not shown" in text) == (size == 400_000)
    assert text.count("```") % 2 == 0


def test_many_resources_are_limited() -> None:
    events = [step("create", "tencentcloud:Vpc/instance:Instance", f"vpc-{number}", None, {}) for number in range(2000)]
    text = to_markdown(read_preview(events), "prod")
    assert len(text) <= LIMIT
    assert "1900 more resources are not shown." in text


def test_a_value_cannot_break_the_table() -> None:
    text = to_markdown(read_preview([step("update", "t", "n", {"a": "x|y`z"}, {"a": "long" * 100})]), "prod")
    row = next(line for line in text.splitlines() if "`n`" in line)
    assert row.count("|") == 5
    assert len(row) < 200


def test_an_empty_value_is_visible_and_does_not_pair_with_another_one() -> None:
    text = to_markdown(read_preview([step("update", "t", "n", {"a": "", "b": ""}, {"a": "x", "b": "y"})]), "prod")
    assert '`a`: `""` to `x`, `b`: `""` to `y`' in text


def test_many_errors_and_long_rows_are_cut_between_lines() -> None:
    errors = [message("error", f"{number} " + "long\n" * 1000) for number in range(30)]
    long = {f"key{number}": "x" * 100 for number in range(8)}
    rows = [step("update", "t", f"n{number}", long, {key: f"y{value}" for key, value in long.items()}) for number in range(99)]  # fmt: skip  # noqa: E501 - one expression
    for events in (errors, rows):
        text = to_markdown(read_preview([*events, update(rollout(30))]), "s" * 60)
        assert len(text) <= LIMIT
        assert "The rest is not shown." in text
        assert sum(line.startswith("```") for line in text.splitlines()) % 2 == 0
        assert all(line.endswith("|") for line in text.splitlines() if line.startswith("|"))


def test_drift_that_a_refresh_found_is_shown_for_each_node() -> None:
    lines = ["/etc/nginx/nginx.conf: content differs", "  -    worker_connections 1;"]
    old = {**rollout(65), "drift": {"iam-b": lines}}
    events = [step("update", "pulumi-python:dynamic/tandem:Rollout", "rollout", old, rollout(65))]
    text = to_markdown(read_preview(events), "prod")
    assert "<summary>Drift on iam-b</summary>" in text
    assert "\n".join(lines) in text
