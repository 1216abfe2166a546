"""One step on one resource, with a provider that is written here."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from localcloud.engine.comparison import Difference
from localcloud.engine.deployment import Deployment
from localcloud.engine.display import Display
from localcloud.engine.errors import ResourceError
from localcloud.engine.goal import Goal
from localcloud.engine.hooks import Hooks
from localcloud.engine.providers.base import Created, CreateRequest, ProviderError
from localcloud.engine.providers.registry import Providers
from localcloud.engine.state import PendingCreate, Resource, StateStore
from localcloud.engine.steps import CancelledError, Steps
from localcloud.engine.values import Properties

_URN = "urn:pulumi:dev::little::fake:index:Thing::a"


@dataclass
class FakeProvider:
    """Things in a dictionary; `broken` is raised by the next call."""

    foresees_outputs = True
    things: dict[str, Properties] = field(default_factory=dict)
    broken: Exception | None = None
    settles: bool = True
    calls: list[str] = field(default_factory=list)

    def check(self, resource_type: str, old: Any, new: Any) -> Properties:
        del resource_type, old
        return dict(new)

    def diff(self, resource_type: str, resource_id: str, old: Any, outputs: Any, new: Any) -> Difference:
        del resource_type, resource_id, outputs
        return Difference() if old == new else Difference(("value",))

    def create(self, request: CreateRequest) -> Created:
        self._call("create")
        resource_id = f"id-{len(self.things)}"
        self.things[resource_id] = request.inputs
        request.made(resource_id)
        if not self.settles:
            raise ProviderError("it never became ready")
        return Created(resource_id, {**request.inputs, "made": True})

    def find(self, resource_type: str, inputs: Properties, token: str, known: frozenset[str]) -> str | None:
        del resource_type, token
        self._call("find")
        return next((one for one, given in self.things.items() if given == inputs and one not in known), None)

    def settle(self, resource_type: str, resource_id: str, inputs: Properties) -> Properties | None:
        del resource_type
        self._call("settle")
        if not self.settles:
            raise ProviderError("it never became ready")
        return {**inputs, "made": True} if resource_id in self.things else None

    def read(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        del resource_type, inputs, outputs
        return self.things.get(resource_id)

    def update(
        self, resource_type: str, resource_id: str, old: Properties, outputs: Properties, new: Properties
    ) -> Properties:
        del resource_type, old, outputs
        self._call("update")
        self.things[resource_id] = new
        return {**new, "made": True}

    def delete(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> None:
        del resource_type, inputs, outputs
        self._call("delete")
        self.things.pop(resource_id, None)

    def close(self) -> None:
        pass

    def _call(self, name: str) -> None:
        self.calls.append(name)
        broken, self.broken = self.broken, None
        if broken is not None:
            raise broken


@dataclass
class Bench:
    provider: FakeProvider
    store: StateStore
    steps: Steps
    deployment: Deployment
    screen: io.StringIO


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    provider, screen = FakeProvider(), io.StringIO()
    store = StateStore(tmp_path, "little", "dev", "open sesame")
    display = Display(preview=False, console=Console(file=screen, soft_wrap=True))
    steps = Steps(store, Providers({"fake": provider}), Hooks(dry_run=False), display, threading.Event())
    return Bench(provider, store, steps, Deployment(steps, dry_run=False), screen)


def _goal(**inputs: Any) -> Goal:
    return Goal(urn=_URN, type="fake:index:Thing", name="a", custom=True, parent="", inputs=inputs)


def _resource(**more: Any) -> Resource:
    return Resource(urn=_URN, type="fake:index:Thing", custom=True, inputs={"value": 1}, **more)


def test_a_fault_of_the_engines_own_is_shown_and_stops_the_run(bench: Bench) -> None:
    bench.provider.broken = KeyError("VpcId")
    with pytest.raises(ResourceError):
        bench.deployment.register(_goal(value=1))
    assert "KeyError: 'VpcId' (test_steps.py:" in bench.screen.getvalue()
    assert _URN in bench.screen.getvalue()
    with pytest.raises(CancelledError):
        bench.steps.create(_resource())


def test_a_refused_create_leaves_nothing_to_look_for(bench: Bench) -> None:
    bench.provider.broken = ProviderError("no")
    with pytest.raises(ResourceError):
        bench.deployment.register(_goal(value=1))
    assert bench.store.pending() == ()
    assert bench.store.resources() == ()


def test_a_create_without_an_answer_is_looked_for_by_the_next_run(bench: Bench) -> None:
    bench.store.begin_create(PendingCreate(_resource(), "token", "before"))
    bench.provider.things["id-7"] = {"value": 1}
    bench.deployment.recover()
    assert bench.deployment.register(_goal(value=1)).id == "id-7"
    assert bench.provider.calls == ["find", "settle"]
    assert [one.unsettled for one in bench.store.resources()] == [False]


def test_what_is_found_is_brought_to_what_the_program_now_wants(bench: Bench) -> None:
    bench.store.begin_create(PendingCreate(_resource(), "token", "before"))
    bench.provider.things["id-7"] = {"value": 1}
    bench.deployment.recover()
    assert bench.deployment.register(_goal(value=2)).id == "id-7"
    assert bench.provider.things == {"id-7": {"value": 2}}


def test_what_another_resource_has_is_not_taken_for_a_lost_one(bench: Bench) -> None:
    bench.provider.things["id-7"] = {"value": 1}
    other = Resource(urn=_URN + "-other", type="fake:index:Thing", custom=True, id="id-7", inputs={"value": 1})
    bench.store.put(other)
    bench.store.begin_create(PendingCreate(_resource(), "token", "before"))
    bench.deployment.recover()
    assert [one.id for one in bench.store.resources()] == ["id-7"]
    assert bench.store.pending() == ()


def test_nothing_is_begun_while_it_is_not_known_what_the_last_run_made(bench: Bench) -> None:
    bench.store.begin_create(PendingCreate(_resource(), "token", "before"))
    bench.provider.broken = ProviderError("no answer", uncertain=True)
    with pytest.raises(ResourceError, match="cannot find out what the last run made: no answer"):
        bench.deployment.recover()
    assert len(bench.store.pending()) == 1


def test_what_never_becomes_ready_is_replaced_by_the_next_run(bench: Bench) -> None:
    bench.provider.settles = False
    with pytest.raises(ResourceError):
        bench.deployment.register(_goal(value=1))
    assert [(one.id, one.unsettled) for one in bench.store.resources()] == [("id-0", True)]

    bench.steps.stopped.clear()
    again = Deployment(bench.steps, dry_run=False)
    bench.provider.calls.clear()
    with pytest.raises(ResourceError):
        again.register(_goal(value=1))
    assert bench.provider.calls == ["settle", "delete", "create"]

    bench.steps.stopped.clear()
    bench.provider.settles = True
    assert Deployment(bench.steps, dry_run=False).register(_goal(value=1)).id == "id-0"
    assert [one.unsettled for one in bench.store.resources()] == [False]


def test_what_vanished_before_it_was_ready_is_made_again(bench: Bench) -> None:
    bench.store.put(_resource(id="id-9", unsettled=True))
    assert bench.deployment.register(_goal(value=1)).id == "id-0"
    assert bench.provider.calls == ["settle", "create"]
