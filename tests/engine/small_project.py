"""Small programs with one type of dynamic resource, which logs its operations to a file."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any, Self

from tests.engine.project import Project, wait_until

_ITEM = '''
import json, pathlib, time
import pulumi
from pulumi import ResourceHook, ResourceHookBinding, ResourceOptions
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

config = pulumi.Config()
FOLDER = pathlib.Path(__FOLDER__)

def log(*words):
    with open(FOLDER / "calls", "a") as file:
        file.write(json.dumps([time.time(), *words]) + "\\n")

class ItemProvider(ResourceProvider):
    """Inputs: `value`, `text`; `sleep_s` in create; `fail`: operations that fail; `fixed`: replaced when changed.

    Each resource is represented by a file.
    """
    serialize_as_secret_always = False

    def _do(self, operation, props):
        log("begin", operation, props["label"])
        time.sleep(props.get("sleep_s") or 0)
        if operation in (props.get("fail") or ()):
            raise RuntimeError(f"{operation} of {props['label']} failed")
        file = FOLDER / f"item-{props['label']}"
        file.unlink(missing_ok=True) if operation == "delete" else file.write_text(json.dumps(props.get("value")))
        log("end", operation, props["label"])

    def create(self, props):
        self._do("create", props)
        return CreateResult(f"id-{props['label']}-{time.time_ns()}", {**props, "result": props.get("value")})

    def read(self, id_, props):
        file = FOLDER / f"item-{props['label']}"
        if not file.exists():
            return ReadResult("", {})
        return ReadResult(id_, {**props, "value": json.loads(file.read_text())})

    def diff(self, id_, olds, news):
        keys = {key for key in {*olds, *news} - {"result", "__provider"} if olds.get(key) != news.get(key)}
        return DiffResult(changes=bool(keys), replaces=sorted(keys & {"fixed"}), delete_before_replace=True)

    def update(self, id_, olds, news):
        self._do("update", news)
        return UpdateResult({**news, "result": news.get("value")})

    def delete(self, id_, props):
        self._do("delete", props)

class Item(Resource):
    result: pulumi.Output[str]

    def __init__(self, name, opts=None, **props):
        super().__init__(ItemProvider(), name, {"label": name, "result": None, **props}, opts)
'''


class SmallProject(Project):
    """A project with a small program instead of the full one."""

    @classmethod
    def copy(cls, folder: Path, *more: str) -> Self:
        """Copy the files of the `tandem` command, without its check of the full program's settings."""
        project = super().copy(folder, *more)
        program = folder / "operations" / "program.py"
        program.write_text(f"{program.read_text()}\n\ndef check_settings(stack: str) -> None:\n    del stack\n")
        return project

    def write(self, program: str, **config: Any) -> None:
        """Write a program that declares `Item` resources, and the stack settings that it reads."""
        head = _ITEM.replace("__FOLDER__", repr(str(self.folder)))
        (self.folder / "__main__.py").write_text(head + textwrap.dedent(program))
        self.configure({f"tandem:{key}": value for key, value in config.items()})

    def calls(self) -> list[list[str]]:
        """Return the logged operations in order: ["begin", "create", "a"] ..."""
        return [words for _, *words in self.timed_calls()]

    def timed_calls(self) -> list[Any]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def done(self) -> list[str]:
        """Return `create a`, `delete b` ... in the order in which they ended, and clear the log."""
        done = [" ".join(words[1:]) for words in self.calls() if words[0] == "end"]
        (self.folder / "calls").unlink(missing_ok=True)
        return done

    def wait_for_call(self, *call: str) -> None:
        wait_until(lambda: list(call) in [words[: len(call)] for words in self.calls()])

    def item(self, name: str) -> Path:
        return self.folder / f"item-{name}"
