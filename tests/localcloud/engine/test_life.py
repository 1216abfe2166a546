"""Create, update, delete, destroy: what happens to resources, in which order, and what is kept of it."""

from __future__ import annotations

from .conftest import Project

_TWO = """
    a = Thing("a", value=config.get("value"))
    b = Thing("b", value=a.result)
    pulumi.export("result", b.result)
"""


def test_the_first_up_creates_and_the_second_changes_nothing(project: Project) -> None:
    project.write(_TWO, config="little:value: one")
    first = project.up()
    assert "+ 3 created" in first
    assert "for localcloud only" in first
    assert project.done() == ["create a", "create b"]
    before = project.state_file.read_bytes()

    project.forget_calls()
    second = project.up()
    assert "3 unchanged" in second
    assert "created" not in second
    assert project.calls() == []
    assert project.state_file.read_bytes() == before


def test_a_changed_input_updates_in_place_and_what_depends_on_it(project: Project) -> None:
    project.write(_TWO, config="little:value: one")
    project.up()
    ids = {name: one["id"] for name, one in project.resources().items()}
    project.forget_calls()

    project.write(_TWO, config="little:value: two")
    assert "~ 2 updated" in project.up()
    assert project.done() == ["update a", "update b"]
    assert {name: one["id"] for name, one in project.resources().items()} == ids
    assert project.outputs() == {"result": "made of made of two"}


def test_what_the_program_no_longer_declares_is_deleted_dependents_first(project: Project) -> None:
    project.write(_TWO, config="little:value: one")
    project.up()
    project.forget_calls()

    project.write('Thing("c")')
    run = project.up()
    assert "+ 1 created" in run
    assert "- 2 deleted" in run
    assert project.done() == ["create c", "delete b", "delete a"]
    assert set(project.resources()) == {"c"}


def test_destroy_deletes_in_reverse_order_of_dependency(project: Project) -> None:
    project.write("""
        class Group(pulumi.ComponentResource):
            def __init__(self, name):
                super().__init__("test:index:Group", name)

        group = Group("group")
        a = Thing("a")
        b = Thing("b", value=a.result)
        c = Thing("c", opts=ResourceOptions(depends_on=[b]))
        d = Thing("d", opts=ResourceOptions(parent=group, depends_on=[c]))
    """)
    project.up()
    project.forget_calls()

    assert "- 6 deleted" in project.destroy()
    assert project.done() == ["delete d", "delete c", "delete b", "delete a"]
    assert project.state()["resources"] == []
    assert "Resources:" in project.destroy()


def test_a_replacement_is_made_before_the_old_one_is_deleted(project: Project) -> None:
    program = 'Thing("a", fixed=config.require("fixed"))'
    project.write(program, config="little:fixed: one")
    project.up()
    old = project.resources()["a"]["id"]
    project.forget_calls()

    project.write(program, config="little:fixed: two")
    assert "+- 1 replaced" in project.up()
    assert project.done() == ["create a", "delete a"]
    assert project.resources()["a"]["id"] != old
    assert len(project.state()["resources"]) == 2


def test_delete_before_replace_takes_dependents_that_must_be_replaced_along(project: Project) -> None:
    program = """
        a = Thing("a", fixed=config.require("fixed"), opts=ResourceOptions(delete_before_replace=True))
        b = Thing("b", fixed=a.result)
        c = Thing("c", value=a.result)
    """
    project.write(program, config="little:fixed: one")
    project.up()
    project.forget_calls()

    project.write(program, config="little:fixed: two")
    run = project.up()
    assert "+- 2 replaced" in run
    assert project.done()[:3] == ["delete b", "delete a", "create a"]
    # c's input has the same value as before, so nothing happens to it.
    assert sorted(project.done()[3:]) == ["create b"]


def test_all_that_must_be_replaced_goes_first_in_whatever_order_it_was_made(project: Project) -> None:
    program = """
        a = Thing("a", fixed=config.require("one"), opts=ResourceOptions(delete_before_replace=True))
        b = Thing("b", fixed=Output.format("{} {}", a.result, config.require("two")))
        c = Thing("c", fixed=b.result)
    """
    project.write(program, config="little:one: x\nlittle:two: x")
    project.up()
    # Made anew, b comes after c in the state.
    project.write(program, config="little:one: x\nlittle:two: y")
    project.up()
    project.forget_calls()
    project.write(program, config="little:one: y\nlittle:two: y")
    assert "+- 3 replaced" in project.up()
    assert project.done() == ["delete c", "delete b", "delete a", "create a", "create b", "create c"]


def test_a_provider_may_ask_to_be_deleted_first(project: Project) -> None:
    program = 'Thing("a", first=True, fixed=config.require("fixed"))'
    project.write(program, config="little:fixed: one")
    project.up()
    project.forget_calls()
    project.write(program, config="little:fixed: two")
    project.up()
    assert project.done() == ["delete a", "create a"]


def test_independent_resources_are_created_at_once_and_dependents_after_them(project: Project) -> None:
    project.write("""
        makers = [Thing(name, sleep=1.0) for name in "abcd"]
        Thing("last", value=Output.all(*[one.result for one in makers]).apply(len))
    """)
    project.up()
    times = project.times()
    begins = [times[f"begin create {name}"] for name in "abcd"]
    ends = [times[f"end create {name}"] for name in "abcd"]
    assert max(begins) < min(ends)
    assert times["begin create last"] > max(ends)


def test_urns_are_those_that_pulumi_forms(project: Project) -> None:
    project.write("""
        class Group(pulumi.ComponentResource):
            def __init__(self, name, opts=None):
                super().__init__("test:index:Group", name, None, opts)

        outer = Group("outer")
        inner = Group("inner", ResourceOptions(parent=outer))
        Thing("thing", opts=ResourceOptions(parent=inner))
    """)
    project.up()
    assert [one["urn"] for one in project.state()["resources"]] == [
        "urn:pulumi:dev::little::pulumi:pulumi:Stack::little-dev",
        "urn:pulumi:dev::little::test:index:Group::outer",
        "urn:pulumi:dev::little::test:index:Group$test:index:Group::inner",
        "urn:pulumi:dev::little::test:index:Group$test:index:Group$pulumi-python:dynamic:Resource::thing",
    ]


def test_two_resources_of_one_name_are_refused(project: Project) -> None:
    project.write('Thing("a"); Thing("a")')
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "duplicate resource" in run
    assert "urn:pulumi:dev::little::pulumi-python:dynamic:Resource::a" in run


def test_a_preview_names_what_would_change_and_does_nothing(project: Project) -> None:
    project.write(_TWO, config="little:value: one")
    project.up()
    before = project.state_file.read_bytes()
    project.forget_calls()

    project.write("""
        a = Thing("a", value="two")
        c = Thing("c", value=a.result)
        Thing("d", value=c.result)
    """)
    run = project.run("preview")
    assert run.code == 0
    assert "~ 1 to update" in run
    assert "[value]" in run
    assert "+ 2 to create" in run
    assert "- 1 to delete" in run

    # What a's update makes of its result is not known yet, so b may change too.
    project.write(_TWO, config="little:value: two")
    assert "~ 2 to update" in project.run("preview")
    assert project.calls() == []
    assert project.state_file.read_bytes() == before


def test_a_program_that_fails_before_it_declares_anything_has_changed_nothing_and_says_so(project: Project) -> None:
    project.write("raise pulumi.RunError('these settings are wrong')")
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "these settings are wrong" in run.output
    assert run.output.rstrip().endswith("failed; nothing was changed")
    project.write("Thing('one'); Thing('bad', fail=['create'])")
    assert "what was made is in the state" in project.run("up", "--yes").output


def test_a_misspelt_stack_is_no_new_one(project: Project) -> None:
    project.write("Thing('one')")
    (project.path / "Pulumi.dev.yaml").rename(project.path / "Pulumi.prod.yaml")
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "no stack 'dev'" in run.output
    assert "there are: prod" in run.output
    assert project.calls() == []
