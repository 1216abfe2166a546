"""Configuration that goes in, outputs that come out, and secrets on the way."""

from __future__ import annotations

from pathlib import Path

from localcloud.engine.secrets import new_crypter

from .conftest import Project


def test_secrets_stay_secret_through_resources_applies_and_outputs(project: Project) -> None:
    project.write("""
        # As with Pulumi, an output is secret if it is named so, or if the input of its name is.
        options = ResourceOptions(additional_secret_outputs=["result"])
        a = Thing("a", value=Output.secret("hunter2"), opts=options)
        b = Thing("b", value=a.result.apply(lambda text: text.upper()), opts=options)
        pulumi.export("plain", {"deep": [1, 2.0, None, True, "ü"]})
        pulumi.export("secret", Output.secret("hunter2"))
        pulumi.export("made", b.result)
        pulumi.export("nested", {"inner": Output.secret({"password": "hunter2"}), "beside": 1})
        pulumi.export("formatted", Output.format("it is {}", Output.secret("hunter2")))
    """)
    run = project.up()
    assert "hunter2" not in run.output.lower()
    assert "HUNTER2" not in run
    text = project.state_file.read_text()
    assert "hunter2" not in text
    assert "HUNTER2" not in text
    assert project.outputs() == {
        "plain": {"deep": [1, 2, None, True, "ü"]},
        "secret": "[secret]",
        "nested": {"inner": "[secret]", "beside": 1},
        "formatted": "[secret]",
        "made": "[secret]",
    }
    shown = project.outputs(show_secrets=True)
    assert shown["secret"] == "hunter2"
    assert shown["nested"] == {"inner": {"password": "hunter2"}, "beside": 1}
    assert shown["formatted"] == "it is hunter2"
    assert shown["made"] == "made of MADE OF HUNTER2"
    assert "ciphertext" in project.resources()["b"]["outputs"]["value"]


def test_one_output_is_printed_as_it_is(project: Project) -> None:
    project.write('pulumi.export("word", "hello"); pulumi.export("list", [1, 2])')
    project.up()
    assert project.run("output", "word").output == "hello\n"
    assert project.run("output", "list").output == "[1, 2]\n"
    missing = project.run("output", "nothing")
    assert missing.code == 1
    assert "it has: list, word" in missing
    assert "word" in project.run("output")


def test_configuration_is_read_as_pulumi_reads_it(project: Project, tmp_path: Path) -> None:
    crypter = new_crypter("open sesame")
    project.environment["PULUMI_CONFIG_PASSPHRASE"] = "open sesame"
    project.write("""
        net = config.require_object("net")
        pulumi.export("all", [config.get("text"), config.require_int("number"), config.require_bool("flag"),
                              net["cidr"], net["zones"], pulumi.Config("other").get("key"), config.get("default")])
        pulumi.export("hidden", config.require_secret("hidden"))
        pulumi.export("names", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization()])
    """)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(
        "name: little\nruntime: {name: python}\nstackConfigDir: stacks\nconfig: {default: {type: string, default: d}}\n"
    )
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text(f"""
encryptionsalt: {crypter.salt}
config:
  little:text: words
  little:number: "7"
  little:flag: true
  little:net: {{cidr: 10.0.0.0/16, zones: [a, b]}}
  little:hidden: {{secure: "{crypter.encrypt("hunter2")}"}}
  other:key: 5
""")
    project.up()
    outputs = project.outputs()
    assert outputs["all"] == ["words", 7, True, "10.0.0.0/16", ["a", "b"], "5", "d"]
    assert outputs["hidden"] == "[secret]"
    assert outputs["names"] == ["little", "dev", "organization"]
    assert project.outputs(show_secrets=True)["hidden"] == "hunter2"


def test_another_configuration_file_and_state_directory_can_be_named(project: Project, tmp_path: Path) -> None:
    project.write('pulumi.export("value", config.require("value"))')
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text("config:\n  little:value: from elsewhere\n")
    options = ["--state-dir", str(tmp_path / "states")]
    run = project.run("up", "--yes", "--config-file", str(elsewhere), *options)
    assert run.code == 0, run.output
    assert (tmp_path / "states" / "dev.json").exists()
    assert not (tmp_path / ".tandem").exists()
    assert project.run("output", "value", *options).output == "from elsewhere\n"


def test_what_is_wrong_with_a_project_is_said(project: Project, tmp_path: Path) -> None:
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "no Pulumi.yaml in" in run
    (tmp_path / "Pulumi.yaml").write_text("name: little\nruntime: nodejs\n")
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "runs python programs only" in run


def test_a_hook_may_read_the_outputs_of_the_last_deployment(project: Project) -> None:
    program = """
        def hook(args):
            read = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": "organization/little/dev"})
            log("read", "outputs", json.dumps(read.value["outputs"]), read.value["secretOutputNames"])

        binding = ResourceHookBinding(before_update=[ResourceHook("hook", hook)])
        a = Thing("a", value=config.require("value"), opts=ResourceOptions(hooks=binding))
        pulumi.export("value", a.result)
        pulumi.export("hidden", Output.secret("x"))
    """
    project.write(program, config="little:value: one")
    project.up()
    project.write(program, config="little:value: two")
    project.up()
    read = next(call for call in project.calls() if call[0] == "read")
    assert '"value": "made of one"' in read[2]
    assert read[3] == ["hidden"]


def test_destroy_asks_where_nobody_can_answer_and_does_nothing(project: Project) -> None:
    project.write('Thing("a")')
    project.up()
    run = project.run("destroy")
    assert run.code == 1
    assert "--yes" in run
    assert set(project.resources()) == {"a"}
