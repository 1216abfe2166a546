"""Resource options: protect, ignore_changes and the rest."""

from __future__ import annotations

import pytest

from localcloud.engine.comparison import keep_ignored, parse_path

from .conftest import Project


def test_a_protected_resource_is_not_deleted_and_nothing_else_is(project: Project) -> None:
    project.write('Thing("kept", opts=ResourceOptions(protect=True)); Thing("other")')
    project.up()
    project.forget_calls()

    for arguments in (["destroy", "--yes"], ["up", "--yes"]):
        project.write("")
        run = project.run(*arguments)
        assert run.code == 1
        assert "urn:pulumi:dev::little::pulumi-python:dynamic:Resource::kept" in run
        assert "protect" in run
        assert project.calls() == []

    project.write('Thing("kept"); Thing("other")')
    project.up()
    project.destroy()


def test_a_protected_resource_is_not_replaced(project: Project) -> None:
    program = 'Thing("a", fixed=config.require("fixed"), opts=ResourceOptions(protect=True))'
    project.write(program, config="little:fixed: one")
    project.up()
    project.forget_calls()
    project.write(program, config="little:fixed: two")
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "fixed cannot change without a replacement" in run
    assert project.calls() == []


def test_ignored_changes_change_nothing_and_the_rest_is_updated(project: Project) -> None:
    program = """
        options = ResourceOptions(ignore_changes=["value", "tags.owner"])
        Thing("a", value=config.require("value"), tags={"owner": config.require("value"), "team": "x"}, opts=options)
        Thing("b", value=config.require("value"), sleep=config.get_float("sleep"),
              opts=ResourceOptions(ignore_changes=["value"]))
    """
    project.write(program, config="little:value: one")
    project.up()
    project.forget_calls()

    project.write(program, config="little:value: two")
    assert "3 unchanged" in project.up()

    project.write(program, config="little:value: two\nlittle:sleep: 0.01")
    project.up()
    assert project.done() == ["update b"]
    assert project.resources()["b"]["inputs"]["value"] == "one"


@pytest.mark.parametrize(
    ("path", "old", "new", "kept"),
    [
        pytest.param("a", {"a": 1}, {"a": 2, "b": 3}, {"a": 1, "b": 3}, id="a property keeps its old value"),
        pytest.param("a", {}, {"a": 2}, {}, id="a property that was absent stays absent"),
        pytest.param("a", {"a": 1}, {}, {"a": 1}, id="a property that is taken away stays"),
        pytest.param("t.x", {"t": {"x": 1}}, {"t": {"x": 2, "y": 2}}, {"t": {"x": 1, "y": 2}}, id="one key of a map"),
        pytest.param("l[0].s", {"l": [{"s": 1}]}, {"l": [{"s": 2}]}, {"l": [{"s": 1}]}, id="inside a list"),
        pytest.param("l[*].s", {"l": [{"s": 1}, {"s": 2}]}, {"l": [{"s": 8}, {"s": 9}]},
                     {"l": [{"s": 1}, {"s": 2}]}, id="inside each element"),
        pytest.param('t["a.b"]', {"t": {"a.b": 1}}, {"t": {"a.b": 2}}, {"t": {"a.b": 1}}, id="a quoted key"),
        pytest.param("*", {"a": 1}, {"a": 2, "b": 3}, {"a": 1}, id="everything"),
    ],
)  # fmt: skip
def test_an_ignored_path_keeps_what_was(
    path: str, old: dict[str, object], new: dict[str, object], kept: object
) -> None:
    assert keep_ignored(old, new, [path]) == kept


def test_paths_are_read_as_pulumi_writes_them() -> None:
    assert parse_path('a.b[0]["c.d"].*') == ("a", "b", 0, "c.d", "*")


def test_replace_on_changes_forces_a_replacement(project: Project) -> None:
    program = 'Thing("a", value=config.require("value"), opts=ResourceOptions(replace_on_changes=["value"]))'
    project.write(program, config="little:value: one")
    project.up()
    project.forget_calls()
    project.write(program, config="little:value: two")
    assert "+- 1 replaced" in project.up()
    assert project.done() == ["create a", "delete a"]


def test_retained_and_deleted_with_resources_are_only_forgotten(project: Project) -> None:
    project.write("""
        a = Thing("a")
        Thing("with-a", opts=ResourceOptions(deleted_with=a))
        Thing("retained", opts=ResourceOptions(retain_on_delete=True))
    """)
    project.up()
    project.forget_calls()
    project.destroy()
    assert project.done() == ["delete a"]
    assert project.state()["resources"] == []


@pytest.mark.parametrize(
    ("program", "word"),
    [
        ('Thing("a", opts=ResourceOptions(import_="x"))', "import_"),
        ('Thing("a", opts=ResourceOptions(aliases=["urn:pulumi:dev::little::a:b:C::d"]))', "aliases"),
        ('pulumi.runtime.invoke("a:b:c", {})', "a:b:c"),
        ('pulumi.CustomResource("aws:s3/bucket:Bucket", "x", {})', "'aws' is not known"),
    ],
)
def test_what_the_engine_cannot_do_is_said_and_nothing_is_done(project: Project, program: str, word: str) -> None:
    project.write(program)
    run = project.run("up", "--yes")
    assert run.code == 1
    assert word in run
    assert "localcloud's engine" in run
    assert project.calls() == []
