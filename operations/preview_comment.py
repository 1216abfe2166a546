"""The comment of a pull request: what `up` would change, as Markdown (`tandem preview --markdown`).

A table of the resources, then one folded section for each file with the changed lines of each node. Contains no
secret: the engine replaces secrets, and the files have placeholders (docs/adr/0013).
"""

from __future__ import annotations

import difflib
import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from operations.events import Preview, ResourceChange
from provisioning.plan import action_cuts_off_clients

# GitHub refuses comments of more than 65536 characters; GitLab allows more.
LIMIT = 65_000
_CONTEXT = 2
_MAX_ROWS = 100
_MAX_LINES = 400  # of one diff
_MAX_VALUE = 60
_MAX_UNCHANGED = 160  # of an item beside a changed one
_NAMES = ("name", "path", "user", "database")  # what identifies an item among those of its kind
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # Pulumi's mark of a value that is known after `up` only
_VERBS = {"create": "create", "update": "update", "replace": "replace", "delete": "delete"}
_MARKS = {"create": "+", "update": "~", "replace": "+-", "delete": "-"}
_ITEMS = "units, users, packages and databases"
_SWITCHOVER = " (a node that holds the virtual IP is switched over first)"
_Texts = dict[tuple[str, str], list[str]]  # the lines of each text by node and path


def marker(stack: str) -> str:
    """The first line of the comment. A workflow finds the comment of an earlier run by it."""
    return f"<!-- tandem preview of stack {stack} -->"


def to_markdown(preview: Preview, stack: str, limit: int = LIMIT) -> str:
    """Return the comment, at most `limit` characters long."""
    shown = [change for change in preview.changes if not change.type.startswith("pulumi:providers:")]
    changed = [change for change in shown if change.operation in _VERBS]
    parts = [marker(stack), f"### Preview of stack `{stack}`: {_summary(preview, shown)}", ""]
    parts += [_error(text) for text in preview.errors]
    parts += [f"**Note:** {_quoted(text)}\n" for text in preview.warnings]
    if changed:
        parts += ["| | resource | type | changes |", "|---|---|---|---|", *map(_row, changed[:_MAX_ROWS])]
        parts += [f"\n{len(changed) - _MAX_ROWS} more resources are not shown.\n"] if len(changed) > _MAX_ROWS else [""]
    rollout = preview.rollout()
    sections = [*_drift(rollout), *_sections(rollout)] if rollout else []
    if rollout and (actions := _actions(_texts(rollout.old), _texts(rollout.new))):
        parts += ["**Then on the nodes:** " + "; ".join(actions) + "\n"]
    return _fit("\n".join(parts), sections, stack, limit)


def _summary(preview: Preview, shown: Sequence[ResourceChange]) -> str:
    if preview.errors:
        return "failed"
    found = Counter(change.operation for change in shown)
    counts = [f"{found[each]} to {each}" for each in _VERBS if found[each]]
    return ", ".join([*(counts or ["no changes"]), f"{found['same']} unchanged"])


def _error(text: str) -> str:
    """An error as a block: the report of wrong settings is a table. A traceback says nothing about the change."""
    lines = text.partition("Traceback (most recent call last)")[0].strip().replace("`", "'") or text.splitlines()[-1]
    return f"**Error**\n\n```\n{lines[:4000]}\n```\n"


def _quoted(text: str) -> str:
    return html.escape(" ".join(text.split())[:2000], quote=False)


def _row(change: ResourceChange) -> str:
    cells = [f"`{_MARKS[change.operation]}`", _code(change.name), _code(change.type), _describe(change)]
    return f"| {' | '.join(cells)} |"


def _describe(change: ResourceChange) -> str:
    if change.operation in {"create", "delete"}:
        return change.operation
    keys = change.changed_keys()
    shown = [_property(key, change.old.get(key), change.new.get(key)) for key in keys[:8]]
    more = [f"{len(keys) - 8} more"] if len(keys) > 8 else []  # noqa: PLR2004 - as above
    return ", ".join([*shown, *more]) or change.operation


def _property(key: str, old: Any, new: Any) -> str:
    if isinstance(old, (dict, list)) or isinstance(new, (dict, list)) or "\n" in f"{old}{new}":
        return _code(key)
    return f"{_code(key)}: {_code(_value(old))} to {_code(_value(new))}"


def _value(value: Any) -> str:
    if value == _UNKNOWN:
        return "(known after up)"
    text = value if isinstance(value, str) and value else json.dumps(value)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."


def _code(text: str) -> str:
    """Inline code in a table cell; a value must not end the cell or the code."""
    return f"`{text.replace('|', chr(0xA6)).replace('`', chr(0x2019))}`"


# ---- files -----------------------------------------------------------------------------------------------------------


def _drift(rollout: ResourceChange) -> Iterator[str]:
    """One folded section for each node on which a refresh has found drift (components/rollout.py)."""
    found = rollout.old.get("drift")
    for node, lines in found.items() if isinstance(found, Mapping) else ():
        text = "\n".join(map(str, lines[:_MAX_LINES]))
        yield f"<details>\n<summary>Drift on {html.escape(node)}</summary>\n\n{_block(text, [])}\n</details>\n"


def _sections(rollout: ResourceChange) -> Iterator[str]:
    """One folded section for each file that changes, with the nodes that change alike together."""
    old, new = _texts(rollout.old), _texts(rollout.new)
    by_path: dict[str, dict[str, list[str]]] = {}
    for node, path in sorted(old.keys() | new.keys(), key=lambda key: (key[1] == _ITEMS, key[1], key[0])):
        before, after = old.get((node, path)), new.get((node, path))
        if path == _ITEMS:
            before, after = _item_lines(before, after), _item_lines(after, before)
        lines = _diff(before, after)
        if lines:
            by_path.setdefault(path, {}).setdefault("\n".join(lines), []).append(node)
    for path, nodes_by_diff in by_path.items():
        nodes = sorted(node for nodes in nodes_by_diff.values() for node in nodes)
        alike = len(nodes_by_diff) == 1  # the summary names the nodes
        blocks = [_block(lines, [] if alike else same) for lines, same in nodes_by_diff.items()]
        summary = f"<summary><code>{html.escape(path)}</code> on {', '.join(map(html.escape, nodes))}</summary>"
        yield "\n".join(["<details>", summary, "", *blocks, "</details>", ""])


def _actions(old: _Texts, new: _Texts) -> list[str]:
    """The reloads and restarts that the changed files require, with their nodes. A new node starts everything."""
    found: dict[str, set[str]] = {}
    for node in (node for node, path in new if path == _ITEMS and (node, _ITEMS) in old):
        before, after = set(old[node, _ITEMS]), set(new[node, _ITEMS])
        for line in sorted(before | after):
            item = json.loads(line)
            path = (node, str(item.get("path")))
            if old.get(path) != new.get(path) or line not in before & after:
                for action in item.get("after", ()):
                    found.setdefault(action, set()).add(node)
    return [
        f"{_code(action)} on {', '.join(map(html.escape, sorted(nodes)))}"
        + (_SWITCHOVER if action_cuts_off_clients(action) else "")
        for action, nodes in sorted(found.items())
    ]


def _texts(inputs: Mapping[str, Any]) -> _Texts:
    """The lines of each text by node and path, without the first line (provisioning/preview_text.py)."""
    files, items = inputs.get("files"), inputs.get("manifests")
    texts: _Texts = {}
    for node, text_by_path in files.items() if isinstance(files, Mapping) else ():
        texts |= {(node, path): str(text).splitlines()[1:] for path, text in text_by_path.items()}
    for node, text in items.items() if isinstance(items, Mapping) else ():
        texts[node, _ITEMS] = str(text).splitlines()[1:]
    return texts


def _item_lines(items: list[str] | None, others: list[str] | None) -> list[str] | None:
    """The items of a manifest as lines. Of an item that `others` have with other values, only these values."""
    if items is None:
        return None
    counterparts: dict[str, list[dict[str, Any]]] = {}
    for line in others or ():
        counterparts.setdefault(_identity(json.loads(line)), []).append(json.loads(line))
    return [_item_line(item, counterparts.get(_identity(item), [])) for item in map(json.loads, items)]


def _identity(item: Mapping[str, Any]) -> str:
    return " ".join(
        [str(item.get("kind", "item")), *(f"{key}={json.dumps(item[key])}" for key in _NAMES if key in item)]
    )


def _item_line(item: Mapping[str, Any], counterparts: Sequence[Mapping[str, Any]]) -> str:
    values = {key: value for key, value in item.items() if key not in {"kind", *_NAMES}}
    if len(counterparts) == 1 and counterparts[0] != item:
        values = {key: value for key, value in values.items() if counterparts[0].get(key) != value}
    line = " ".join([_identity(item), *(f"{key}={json.dumps(value)}" for key, value in values.items())])
    unchanged = item in counterparts
    return f"{line[:_MAX_UNCHANGED]}..." if unchanged and len(line) > _MAX_UNCHANGED else line


def _diff(old: list[str] | None, new: list[str] | None) -> list[str]:
    lines = list(difflib.unified_diff(old or [], new or [], lineterm="", n=_CONTEXT))[2:]
    if not lines:
        return []
    state = "file created" if old is None else "file removed" if new is None else ""
    more = [f"... {len(lines) - _MAX_LINES} more lines"] if len(lines) > _MAX_LINES else []
    return [*([f"# {state}"] if state else []), *lines[:_MAX_LINES], *more]


def _block(lines: str, nodes: list[str]) -> str:
    # A fence must be longer than every run of backticks in the text.
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", lines) or [""]))
    heading = f"{', '.join(nodes)}\n\n" if nodes else ""
    return f"{heading}{fence}diff\n{lines}\n{fence}\n"


def _fit(head: str, sections: Iterable[str], stack: str, limit: int) -> str:
    """Add as many sections as fit."""
    command = f"`tandem preview --stack {stack}` shows all of them."
    room = limit - 200 - 2 * len(command)
    text = head if len(head) <= room else f"{_cut(head, room)}\n\nThe rest is not shown. {command}\n"
    left_out = 0
    for section in sections:
        if len(text) + len(section) + 1 <= room:
            text += f"\n{section}"
        else:
            left_out += 1
    files = "1 changed file is" if left_out == 1 else f"{left_out} changed files are"
    return text + (f"\n{files} not shown: the comment has a limit. {command}\n" if left_out else "")


def _cut(head: str, room: int) -> str:
    """The lines that fit; an open code block is closed."""
    kept = head[:room].rpartition("\n")[0]
    return f"{kept}\n```" if kept.splitlines().count("```") % 2 else kept
