from __future__ import annotations

from pathlib import Path

import pytest

from samples.iam.stand_in.config import Config, ConfigError, load


def write_config(directory: Path, text: str) -> list[str]:
    path = directory / "c.yaml"
    path.write_text(text)
    return ["-c", str(path)]


def test_a_flag_overrides_the_environment_and_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = write_config(tmp_path, "mysql: {host: 'file:1', username: file, password: file}")
    environment = {"IAM_APISERVER_MYSQL_USERNAME": "env", "IAM_APISERVER_MYSQL_PASSWORD": "env"}
    config = load("iam-apiserver", [*file, "--mysql.password", "flag"], environment)
    assert [config.text(f"mysql.{key}") for key in ("host", "username", "password")] == ["file:1", "env", "flag"]


def test_an_empty_file_is_accepted_when_the_environment_has_the_values(tmp_path: Path) -> None:
    config = load("iam-apiserver", write_config(tmp_path, ""), {"IAM_APISERVER_JWT_KEY": "from-env"})
    assert config.text("jwt.key") == "from-env"


def test_a_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path / "none.yaml")):
        load("iam-pump", ["-c", str(tmp_path / "none.yaml")], {})


def test_an_invalid_yaml_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load("iam-pump", write_config(tmp_path, "a: [1, 2"), {})


def test_keys_of_the_real_service_are_ignored(tmp_path: Path) -> None:
    text = "server: {max-ping-count: 3}\nlog: {name: x, enable-color: true}\nmysql: {log-level: 4}"
    assert load("iam-apiserver", write_config(tmp_path, text), {}).number("insecure.bind-port") == 8080


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("24h0m0s", 86400), ("200ms", 0.2), ("1.5h", 5400)]
)
def test_durations_are_parsed_in_the_format_of_go(text: str, seconds: float) -> None:
    assert Config("iam-apiserver", {"jwt.timeout": text}).seconds("jwt.timeout") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "90", "1 day", "2h-"])
def test_an_invalid_duration_is_rejected_with_its_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"jwt\.timeout"):
        Config("iam-apiserver", {"jwt.timeout": text}).seconds("jwt.timeout")


@pytest.mark.parametrize("middlewares", ["recovery,logger", "[recovery, logger]"])
def test_a_list_can_be_a_string_with_commas(tmp_path: Path, middlewares: str) -> None:
    config = load(
        "iam-apiserver",
        write_config(
            tmp_path, f"server: {{middlewares: {middlewares!s}}}".replace("recovery,logger}", "'recovery,logger'}")
        ),
        {},
    )
    assert config.words("server.middlewares") == ("recovery", "logger")


def test_the_default_csv_pump_is_kept_unless_configured(tmp_path: Path) -> None:
    assert set(load("iam-pump", write_config(tmp_path, "pumps: {m: {type: dummy}}"), {}).pumps) == {"csv", "m"}
    named = load("iam-pump", write_config(tmp_path, "pumps: {csv: {type: csv, meta: {csv_dir: /x}}}"), {})
    assert named.pumps == {"csv": {"type": "csv", "meta": {"csv_dir": "/x"}}}
