"""Resource hooks: before hooks can stop a step, after hooks can only be told."""

from __future__ import annotations

from .conftest import Project

_HOOKED = """
    def hook(args):
        log("hook", args.name, args.id[:4], args.urn.rsplit("::", 1)[1],
            {"new": (args.new_inputs or {}).get("value"), "old": (args.old_inputs or {}).get("value"),
             "had": (args.old_outputs or {}).get("result"), "has": (args.new_outputs or {}).get("result")})
        if config.get("refuse"):
            raise Exception("not while the moon is full")

    hooked = ResourceHook("hook", hook)
    names = ["before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete"]
    binding = ResourceHookBinding(**{name: [hooked] for name in names if name.startswith(config.get("only") or "")})
    Thing("a", value=config.get("value"), opts=ResourceOptions(hooks=binding))
"""


def test_hooks_run_around_each_step_and_know_old_and_new(project: Project) -> None:
    project.write(_HOOKED, config="little:value: one")
    project.up()
    project.write(_HOOKED, config="little:value: two")
    project.up()
    run = project.destroy()
    assert "running the program" in run
    hooks = [call for call in project.calls() if call[0] == "hook"]
    assert [call[2] for call in hooks] == ["", "id-a", "id-a", "id-a", "id-a", "id-a"]
    before_create, after_create, before_update, after_update, before_delete, after_delete = [one[4] for one in hooks]
    assert before_create == {"new": "one", "old": None, "had": None, "has": None}
    assert after_create == {"new": "one", "old": None, "had": None, "has": "made of one"}
    assert before_update == {"new": "two", "old": "one", "had": "made of one", "has": None}
    assert after_update == {"new": "two", "old": "one", "had": "made of one", "has": "made of two"}
    assert before_delete == after_delete == {"new": None, "old": "two", "had": "made of two", "has": None}
    kinds = [call[0] if call[0] == "hook" else call[1] for call in project.calls() if call[0] != "begin"]
    assert kinds == ["hook", "create", "hook", "hook", "update", "hook", "hook", "delete", "hook"]


def test_a_failing_before_hook_fails_the_step_and_nothing_is_done(project: Project) -> None:
    config = "little:refuse: 'yes'\nlittle:only: before"
    project.write(_HOOKED, config=config)
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "before create hook 'hook' failed: not while the moon is full" in run
    assert "urn:pulumi:dev::little::pulumi-python:dynamic:Resource::a" in run
    assert project.done() == []
    assert project.resources() == {}

    project.write(_HOOKED, config="little:only: before")
    project.up()
    project.forget_calls()
    project.write(_HOOKED, config=config + "\nlittle:value: two")
    assert project.run("up", "--yes").code == 1
    run = project.run("destroy", "--yes")
    assert run.code == 1
    assert "before delete hook 'hook' failed" in run
    assert project.done() == []
    assert set(project.resources()) == {"a"}


def test_a_failing_after_hook_only_warns(project: Project) -> None:
    project.write(_HOOKED, config="little:refuse: 'yes'\nlittle:only: after")
    run = project.up()
    assert "warning" in run
    assert "after create hook 'hook' failed: not while the moon is full" in run
    assert project.done() == ["create a"]
    assert set(project.resources()) == {"a"}


def test_a_before_hook_may_ignore_its_errors(project: Project) -> None:
    project.write("""
        def hook(args):
            raise Exception("never mind")

        hooked = ResourceHook("hook", hook, ResourceHookOptions(ignore_errors=True))
        Thing("a", opts=ResourceOptions(hooks=ResourceHookBinding(before_create=[hooked])))
    """)
    assert "never mind" in project.up()
    assert project.done() == ["create a"]


def test_hooks_that_wait_for_one_another_run_at_once(project: Project) -> None:
    project.write("""
        met = asyncio.Event()

        async def first(args):
            await asyncio.wait_for(met.wait(), 20)

        async def second(args):
            met.set()

        for name, hook in (("a", first), ("b", second)):
            binding = ResourceHookBinding(before_create=[ResourceHook(name, hook)])
            Thing(name, opts=ResourceOptions(hooks=binding))
    """)
    project.up()
    assert sorted(project.done()) == ["create a", "create b"]


def test_hooks_do_not_run_in_a_preview(project: Project) -> None:
    project.write(_HOOKED)
    assert project.run("preview").code == 0
    assert project.calls() == []


def test_an_error_hook_can_have_a_failed_step_tried_again(project: Project) -> None:
    project.write("""
        class Flaky(ResourceProvider):
            def create(self, props):
                log("try", "create", "a")
                if sum("try" in line for line in open(props["log"])) < 3:
                    raise RuntimeError("not yet")
                return CreateResult("flaky", props)

        class FlakyThing(Resource):
            def __init__(self, name, opts):
                super().__init__(Flaky(), name, {"log": LOG}, opts)

        def again(args):
            return args.failed_operation == "create" and "not yet" in args.errors[0] and len(args.errors) < 5

        hooks = ResourceHookBinding(on_error=[pulumi.ErrorHook("again", again)])
        FlakyThing("a", ResourceOptions(hooks=hooks))
    """)
    project.up()
    assert len(project.calls()) == 3


def test_a_hook_that_the_program_no_longer_has_stops_the_deletion(project: Project) -> None:
    project.write(_HOOKED, config="little:only: before")
    project.up()
    project.write("")
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "hook 'hook' was not registered" in run
    assert set(project.resources()) == {"a"}


def test_what_waits_in_its_hook_while_another_step_fails_is_not_begun(project: Project) -> None:
    project.write("""
        failed = asyncio.Event()

        async def wait(args):
            log("hook", "waits", args.name)
            await asyncio.wait_for(failed.wait(), 20)
            await asyncio.sleep(1.5)  # a step has failed for good only once its error hook has answered

        def release(args):
            failed.set()
            return False

        Thing("bad", sleep=1.0, fail=["create"],
              opts=ResourceOptions(hooks=ResourceHookBinding(on_error=[pulumi.ErrorHook("release", release)])))
        Thing("waiting", opts=ResourceOptions(hooks=ResourceHookBinding(before_create=[ResourceHook("wait", wait)])))
        Thing("working", sleep=4.0)
    """)
    run = project.run("up", "--yes")
    assert run.code == 1
    assert ["hook", "waits", "waiting"] in project.calls()
    assert project.done() == ["create working"]
    assert "waiting not begun: the run is stopping" in run
    assert run.output.count("error: ") == 1
    assert set(project.resources()) == {"working"}
    assert project.state()["pendingCreates"] == []
