from __future__ import annotations

from pathlib import Path

import pytest

from samples.iam.stand_in.config import Config, ConfigError, load


def written(directory: Path, text: str) -> list[str]:
    path = directory / "c.yaml"
    path.write_text(text)
    return ["-c", str(path)]


def test_a_flag_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "mysql: {host: 'file:1', username: file, password: file}")
    environment = {"IAM_APISERVER_MYSQL_USERNAME": "env", "IAM_APISERVER_MYSQL_PASSWORD": "env"}
    config = load("iam-apiserver", [*file, "--mysql.password", "flag"], environment)
    assert [config.text(f"mysql.{key}") for key in ("host", "username", "password")] == ["file:1", "env", "flag"]


def test_an_empty_file_is_enough_where_the_environment_has_the_values(tmp_path: Path) -> None:
    config = load("iam-apiserver", written(tmp_path, ""), {"IAM_APISERVER_JWT_KEY": "from-env"})
    assert config.text("jwt.key") == "from-env"


def test_without_a_file_the_error_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path / "none.yaml")):
        load("iam-pump", ["-c", str(tmp_path / "none.yaml")], {})


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load("iam-pump", written(tmp_path, "a: [1, 2"), {})


def test_keys_that_only_the_real_server_knows_are_left_alone(tmp_path: Path) -> None:
    text = "server: {max-ping-count: 3}\nlog: {name: x, enable-color: true}\nmysql: {log-level: 4}"
    assert load("iam-apiserver", written(tmp_path, text), {}).number("insecure.bind-port") == 8080


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("24h0m0s", 86400), ("200ms", 0.2), ("1.5h", 5400)]
)
def test_durations_are_read_as_go_writes_them(text: str, seconds: float) -> None:
    assert Config("iam-apiserver", {"jwt.timeout": text}).seconds("jwt.timeout") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "90", "1 day", "2h-"])
def test_what_is_no_duration_is_refused_with_its_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"jwt\.timeout"):
        Config("iam-apiserver", {"jwt.timeout": text}).seconds("jwt.timeout")


@pytest.mark.parametrize("middlewares", ["recovery,logger", "[recovery, logger]"])
def test_a_list_may_be_one_string_with_commas(tmp_path: Path, middlewares: str) -> None:
    config = load(
        "iam-apiserver",
        written(
            tmp_path, f"server: {{middlewares: {middlewares!s}}}".replace("recovery,logger}", "'recovery,logger'}")
        ),
        {},
    )
    assert config.words("server.middlewares") == ("recovery", "logger")


def test_the_pumps_own_csv_sink_stays_until_it_is_named(tmp_path: Path) -> None:
    assert set(load("iam-pump", written(tmp_path, "pumps: {m: {type: dummy}}"), {}).pumps) == {"csv", "m"}
    named = load("iam-pump", written(tmp_path, "pumps: {csv: {type: csv, meta: {csv_dir: /x}}}"), {})
    assert named.pumps == {"csv": {"type": "csv", "meta": {"csv_dir": "/x"}}}
