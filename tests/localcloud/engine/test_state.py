"""The state file: what is in it, that secrets are not, and how it is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localcloud.engine.deletion import delete_in_order, ready
from localcloud.engine.errors import LockedError, StateError
from localcloud.engine.secrets import find_passphrase, new_crypter, open_crypter
from localcloud.engine.state import PendingCreate, Resource, StateStore
from localcloud.engine.urns import make_urn, name_of, package_of, type_of
from localcloud.engine.values import Secret, from_struct, mark_secrets, mask, reveal, to_struct


def _store(path: Path, passphrase: str = "open sesame") -> StateStore:  # noqa: S107 - of a test
    return StateStore(path, "little", "dev", passphrase)


def _resource(name: str, *, needs: tuple[str, ...] = (), parent: str = "", **more: object) -> Resource:
    urn = f"urn:pulumi:dev::little::a:b:C::{name}"
    dependencies = tuple(f"urn:pulumi:dev::little::a:b:C::{one}" for one in needs)
    above = f"urn:pulumi:dev::little::a:b:C::{parent}" if parent else ""
    return Resource(urn=urn, type="a:b:C", custom=True, dependencies=dependencies, parent=above, **more)  # type: ignore[arg-type] - fields by their names


def test_what_is_written_is_read_back_with_its_secrets(tmp_path: Path) -> None:
    resource = _resource(
        "a",
        id="x",
        inputs={"plain": [1, {"deep": Secret({"password": "hunter2"})}]},
        outputs={"made": Secret("hunter3")},
        property_dependencies={"plain": ("urn:pulumi:dev::little::a:b:C::b",)},
        hooks={"before_delete": ("hook",)},
        secret_outputs=("made",),
        protect=True,
    )
    _store(tmp_path).put(resource)
    text = (tmp_path / "dev.json").read_text()
    assert "hunter2" not in text
    assert "hunter3" not in text
    found = _store(tmp_path).find(resource.urn)
    assert found is not None
    assert (found.inputs, found.outputs, found.hooks, found.protect) == (
        resource.inputs, resource.outputs, resource.hooks, True
    )  # fmt: skip


def test_an_unchanged_resource_is_not_written_again(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.put(_resource("a", inputs={"secret": Secret("x")}))
    before = (tmp_path / "dev.json").read_bytes()
    again = _store(tmp_path)
    again.put(_resource("a", inputs={"secret": Secret("x")}))
    assert (tmp_path / "dev.json").read_bytes() == before
    again.put(_resource("b"))
    assert json.loads(before)["resources"][0] == json.loads((tmp_path / "dev.json").read_text())["resources"][0]


def test_a_replaced_resource_stays_known_until_it_is_deleted(tmp_path: Path) -> None:
    store = _store(tmp_path)
    old = store.put(_resource("a", id="old"))
    store.put(_resource("a", id="new"), replacing=old)
    assert [(one.id, one.delete) for one in _store(tmp_path).resources()] == [("old", True), ("new", False)]
    found = store.find(old.urn)
    assert found is not None
    assert found.id == "new"
    store.remove(store.resources()[0])
    assert [one.id for one in _store(tmp_path).resources()] == ["new"]


def test_a_pending_create_is_forgotten_with_its_resource(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.begin_create(PendingCreate(_resource("a"), "token", "now"))
    assert [one.token for one in _store(tmp_path).pending()] == ["token"]
    store.put(_resource("a", id="x"))
    assert _store(tmp_path).pending() == ()


def test_a_lock_is_for_one(tmp_path: Path) -> None:
    first, second = _store(tmp_path), _store(tmp_path)
    first.lock()
    with pytest.raises(LockedError, match="locked by pid"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_a_wrong_passphrase_is_noticed(tmp_path: Path) -> None:
    _store(tmp_path).put(_resource("a"))
    with pytest.raises(StateError, match="incorrect passphrase"):
        _store(tmp_path, "open barley")


def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text("{")
    with pytest.raises(StateError, match="not JSON"):
        _store(tmp_path)
    (tmp_path / "dev.json").write_text('{"version": 3}')
    with pytest.raises(StateError, match="version 3"):
        _store(tmp_path)


def test_a_passphrase_is_made_once_and_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    made = find_passphrase(tmp_path / "engine")
    assert made == find_passphrase(tmp_path / "engine")
    assert (tmp_path / "engine" / "passphrase").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "given")
    assert find_passphrase(tmp_path / "engine") == "given"


def test_secrets_are_opened_with_the_key_they_were_made_with() -> None:
    crypter = new_crypter("x")
    sealed = crypter.encrypt("text")
    assert open_crypter("x", crypter.salt).decrypt(sealed) == "text"
    assert crypter.encrypt("text") != sealed
    with pytest.raises(StateError, match="cannot be decrypted"):
        new_crypter("x").decrypt(sealed)


def test_pulumis_own_ciphertexts_are_opened() -> None:
    # Written by `pulumi stack init` of the real command, passphrase "x".
    salt = "v1:8W6ngfyIJyI=:v1:5HrCVBzBsI5eXhAt:s02eud0w+04EzwK3VnfXvq8Sn5Zo1g=="
    assert open_crypter("x", salt).salt == salt


def test_values_travel_unchanged_and_secrets_only_where_they_are_understood() -> None:
    values = {"a": [1, 2.5, True, None, "x"], "b": {"c": Secret({"d": [1]})}}
    assert from_struct(to_struct(values)) == values
    assert from_struct(to_struct(values, secrets=False)) == {"a": [1, 2.5, True, None, "x"], "b": {"c": {"d": [1]}}}
    assert mask(values)["b"]["c"] == "[secret]"
    assert reveal(values)["b"]["c"] == {"d": [1]}
    assert "d" not in repr(values["b"])


def test_an_output_is_secret_where_its_input_is() -> None:
    inputs = {"a": Secret("x"), "b": {"c": Secret("y"), "d": 1}, "e": [Secret("z"), 2], "f": 1}
    outputs = {"a": "x", "b": {"c": "y", "d": 1}, "e": ["z", 2], "f": 1, "g": "new"}
    assert mark_secrets(outputs, inputs, ["g"]) == {
        "a": Secret("x"),
        "b": {"c": Secret("y"), "d": 1},
        "e": [Secret("z"), 2],
        "f": 1,
        "g": Secret("new"),
    }


def test_a_resource_is_ready_to_go_when_nothing_needs_it() -> None:
    a, b, c, d = (
        _resource("a"), _resource("b", needs=("a",)), _resource("c", needs=("b",), parent="a"), _resource("d")
    )  # fmt: skip
    assert ready([a, b, c, d]) == [c, d]
    assert ready([a, b], [c]) == []
    assert ready([a]) == [a]


def test_a_failed_deletion_keeps_what_it_stands_on() -> None:
    a, b, c = _resource("a"), _resource("b", needs=("a",)), _resource("c")
    gone: list[str] = []

    def delete(one: Resource) -> None:
        if one is b:
            raise RuntimeError
        gone.append(name_of(one.urn))

    assert not delete_in_order([a, b, c], delete)
    assert gone == ["c"]
    assert delete_in_order([a, c], delete)


def test_urns_are_taken_apart_as_they_are_made() -> None:
    parent = make_urn("dev", "little", "urn:pulumi:dev::little::pulumi:pulumi:Stack::little-dev", "my:a:B", "outer")
    urn = make_urn("dev", "little", parent, "tencentcloud:Vpc/instance:Instance", "net::1")
    assert urn == "urn:pulumi:dev::little::my:a:B$tencentcloud:Vpc/instance:Instance::net::1"
    assert (type_of(urn), name_of(urn), package_of(type_of(urn))) == (
        "tencentcloud:Vpc/instance:Instance", "net::1", "tencentcloud"
    )  # fmt: skip
