"""The same program on the real engine and on this one: the same names, outputs, secrets and replacements."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Project

_PROGRAM = """
    import pulumi_random as random
    import pulumi_tls as tls

    mode = config.require("mode")

    class Group(pulumi.ComponentResource):
        def __init__(self, name, keepers, opts=None, **certificate):
            super().__init__("test:index:Group", name, {"given": 1}, opts)
            here = ResourceOptions(parent=self)
            self.password = random.RandomPassword(f"{name}-password", length=12, keepers=keepers, opts=here)
            self.key = tls.PrivateKey(f"{name}-key", algorithm="ECDSA", ecdsa_curve="P256", opts=here)
            self.certificate = tls.SelfSignedCert(
                f"{name}-certificate", private_key_pem=self.key.private_key_pem, validity_period_hours=48,
                subject={"common_name": name}, opts=here, **certificate)
            self.register_outputs({"password": self.password.result})

    outer = Group("outer", {"mode": mode}, allowed_uses=["server_auth"],
                  early_renewal_hours=49 if mode == "renewed" else 1)
    inner = Group("inner", None, ResourceOptions(parent=outer), allowed_uses=["cert_signing"], is_ca_certificate=True)
    a = Thing("a", value=mode, secret=outer.password.result)
    b = Thing("b", fixed=mode, first=True)
    c = Thing("c", fixed=b.result, opts=ResourceOptions(depends_on=[inner]))
    d = Thing("d", value=mode, opts=ResourceOptions(ignore_changes=["value"]))
    if mode == "first":
        Thing("only-first")
    for name in ("password", "key", "certificate"):
        pulumi.export(name, getattr(inner, name))
    for one in (a, b, c, d):
        pulumi.export(one._name, one)
    pulumi.export("mixed", {"list": [1, 2.5, True, None, Output.secret("x")], "number": 3.0, "text": "ü"})
    pulumi.export("urns", [outer.urn, inner.urn, inner.key.urn])
"""


class _Pulumi:
    """The real command on the same project, with a backend in a directory."""

    def __init__(self, project: Project, directory: Path) -> None:
        self._project = project
        directory.mkdir()
        self._environment = {
            **os.environ,
            # The real engine runs the program with the first `python` on the PATH: it must be ours, with its packages.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{directory}",
            "PULUMI_HOME": str(directory / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "open sesame",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        self._run("stack", "init", "dev")

    def up(self) -> None:
        self._run("up", "--stack", "dev", "--yes", "--skip-preview")

    def outputs(self) -> dict[str, Any]:
        return json.loads(self._run("stack", "output", "--stack", "dev", "--json"))

    def ids(self) -> dict[str, str]:
        exported = json.loads(self._run("stack", "export", "--stack", "dev"))
        resources = exported["deployment"]["resources"]
        return {one["urn"]: one.get("id", "") for one in resources if not one["type"].startswith("pulumi:providers:")}

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", "--non-interactive", "--cwd", str(self._project.path), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _ids(project: Project) -> dict[str, str]:
    return {one["urn"]: one.get("id", "") for one in project.state()["resources"]}


def _shape(value: Any, path: str = "") -> Any:
    """The value with what is drawn anew in each engine (keys, dates, ids) reduced to its kind."""
    if isinstance(value, dict):
        return {key: _shape(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item, path) for item in value]
    if isinstance(value, str) and value != "[secret]" and path not in {"algorithm", "ecdsa_curve", "urn", "urns"}:
        return "text"
    return value


def _changed(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    names = {**before, **after}
    return {
        urn: "gone" if urn not in after else "new" if urn not in before else "replaced"
        for urn in names
        if before.get(urn) != after.get(urn)
    }


@pytest.mark.real_engine
def test_both_engines_make_the_same_of_one_program(project: Project, tmp_path: Path) -> None:
    project.write(_PROGRAM, config="little:mode: first")
    project.environment["PULUMI_CONFIG_PASSPHRASE"] = "open sesame"
    real = _Pulumi(project, tmp_path / "backend")
    real.up()
    project.up()
    assert set(real.ids()) == set(_ids(project))
    assert _shape(real.outputs()) == _shape(project.outputs())

    stack_file = project.path / "Pulumi.dev.yaml"
    for mode in ("second", "renewed"):
        before, before_real = _ids(project), real.ids()
        stack_file.write_text(stack_file.read_text().replace("first", mode).replace("second", mode))
        real.up()
        project.up()
        assert _changed(before, _ids(project)) == _changed(before_real, real.ids())
        assert _shape(real.outputs()) == _shape(project.outputs())
