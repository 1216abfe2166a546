"""The manifest items and configuration files of the IAM services and their databases."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import pytest
import yaml

from provisioning.deployment import App, Deployment, Domains, Node
from provisioning.kinds.account import Account
from provisioning.kinds.archive import Archive
from provisioning.kinds.audit_queue import AuditQueue
from provisioning.kinds.base import Item, Turn
from provisioning.kinds.check import Check
from provisioning.kinds.database import Database
from provisioning.kinds.directory import Directory
from provisioning.kinds.endpoint import Endpoint
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.grant import Grant
from provisioning.kinds.link import Link
from provisioning.kinds.package import Package
from provisioning.kinds.query import Query
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.leaving import describe_entry, find_leaving
from provisioning.manifest_rendering import render
from provisioning.placeholders import find_names
from provisioning.services import iam, mariadb, redis
from settings.data import DataLocation, DataSettings, MongodbSettings
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.nginx import NginxSettings
from settings.releases import Bundle, Release
from settings.services import ServiceSettings

A = Node("iam-a", "10.0.4.20")
B = Node("iam-b", "10.0.4.21")
STAND_IN = Release("r.tar.gz", "5f" * 32, stand_in=True)
EXTERNAL = DataSettings(
    location=DataLocation.EXTERNAL, mariadb_address="db.example.com:3307", redis_address="10.9.9.9:6380"
)
Kind = TypeVar("Kind")


def deployment(**changed: Any) -> Deployment:
    default = Deployment(
        group="tandem-local",
        nodes=(A, B),
        virtual_ips=("10.0.4.99",),
        domains=Domains("iam.api.example.com", "iam.authz.example.com"),
        nginx=NginxSettings(),
        keepalived=KeepalivedSettings(),
        iam=IamSettings(),
        data=DataSettings(),
        release=STAND_IN,
    )
    return replace(default, **changed)


def all_items(desired: Deployment, node: Node) -> list[Item]:
    return [item for service in (mariadb, redis, iam) for item in service.desired(desired, node)]


def of_kind(kind: type[Kind], items: list[Item]) -> list[Kind]:
    return [item for item in items if isinstance(item, kind)]


def text_of(path: str, node: Node = A, **changed: Any) -> str:
    return {file.path: file.text for file in of_kind(File, all_items(deployment(**changed), node))}[path]


def configuration(name: str, node: Node = A, **changed: Any) -> dict[str, Any]:
    return yaml.safe_load(text_of(f"/etc/iam/{name}.yaml", node, **changed))


# ---- location of the databases ---------------------------------------------------------------------------------------


def test_databases_run_only_on_the_first_node() -> None:
    assert [
        unit.name for unit in of_kind(Unit, [*mariadb.desired(deployment(), A), *redis.desired(deployment(), A)])
    ] == [
        "mariadb",
        "redis-server",
    ]
    assert mariadb.desired(deployment(), B) == redis.desired(deployment(), B) == []


def test_external_databases_are_configured_and_not_installed() -> None:
    external = deployment(data=EXTERNAL, nodes=(replace(A), B))
    for node in external.nodes:
        assert redis.desired(external, node) == []
        client, query, health = mariadb.desired(external, node)
        assert isinstance(health, Query)
        assert (health.server, health.user) == ("db.example.com:3307", "iam")
        assert client == Package("mariadb-client-core")
        assert isinstance(query, Query)
        assert (query.server, query.user) == ("db.example.com:3307", "iam")
        assert query.compare({query.name: "ERROR 1045"}) == "must be applied"
        assert "ERROR 1045" in (query.refusal({query.name: "ERROR 1045"}) or "")
        assert query.refusal({query.name: True}) is None
    apiserver = configuration("iam-apiserver", data=EXTERNAL)
    assert apiserver["mysql"]["host"] == "db.example.com:3307"
    assert (apiserver["redis"]["host"], apiserver["redis"]["port"]) == ("10.9.9.9", 6380)
    assert "mariadb.service" not in text_of("/etc/systemd/system/iam-apiserver.service", data=EXTERNAL)


MONGODB = EXTERNAL.model_copy(update={"mongodb": MongodbSettings(address="10.9.9.8:27017", username="audit")})


def test_audit_records_go_to_mongodb_and_stay_in_csv_files() -> None:
    """The real iam-pump does not repeat a write that MongoDB did not accept; the csv files keep the record."""
    assert configuration("iam-pump")["pumps"] == {"csv": {"type": "csv", "meta": {"csv_dir": "/var/lib/iam/audit"}}}
    url = "mongodb://audit:@@secret:mongodb_password@@@10.9.9.8:27017/iam_analytics?authSource=admin"
    assert configuration("iam-pump", data=MONGODB)["pumps"] == {
        "csv": {"type": "csv", "meta": {"csv_dir": "/var/lib/iam/audit"}},
        "mongo": {"type": "mongo", "meta": {"mongo_url": url, "collection_name": "iam_analytics"}},
    }


def _mongodb_service() -> App:
    settings = ServiceSettings(release="x", command=("bin/mongod",), port=27017, instances=("iam-a",))
    return App("mongodb", settings, Bundle("/b.tar.gz", "0" * 64))


@pytest.mark.parametrize(
    ("address", "apps", "look_at"),
    [
        ("10.0.4.20:27017", (_mongodb_service(),), "journalctl -u app-mongodb on iam-a; tandem:data.mongodb"),
        ("10.9.9.8:27017", (_mongodb_service(),), "tandem:data.mongodb"),
    ],
)
def test_the_login_to_mongodb_is_a_health_check_of_each_node(address: str, apps: tuple[App, ...], look_at: str) -> None:
    data = DataSettings(mongodb=MongodbSettings(address=address))
    for node in (A, B):
        items = iam.desired(deployment(data=data, apps=apps), node)
        found = next(each for each in of_kind(Endpoint, items) if each.protocol == "mongodb")
        assert found.url == f"mongodb://iam:@@secret:mongodb_password@@@{address}/iam_analytics?authSource=admin"
        assert found.look_at.startswith(look_at)
        (queue,) = of_kind(AuditQueue, items)
        assert (queue.sink, queue.mongodb, queue.collection) == ("/var/lib/iam/audit", found.url, "iam_analytics")


def test_all_pumps_send_a_copy_of_each_audit_record_to_a_syslog_server_beside_the_csv_files() -> None:
    settings = IamSettings(audit_syslog="logs.example.com:514")
    meta = {"transport": "udp", "network_addr": "logs.example.com:514", "log_level": 110, "tag": "iam-audit"}
    pumps = configuration("iam-pump", iam=settings)["pumps"]
    assert pumps["syslog"] == {"type": "syslog", "meta": meta}
    assert pumps["csv"]["type"] == "csv"


def test_connections_to_external_addresses_are_checked_before_a_change() -> None:
    def probes(**changed: Any) -> dict[str, str]:
        checks = of_kind(Check, iam.desired(deployment(**changed), A))
        return {check.name.split(":")[0]: check.command[-1] for check in checks if "/dev/tcp/" in check.command[-1]}

    assert probes() == {}
    assert probes(data=MONGODB) == {
        "mariadbAddress db.example.com": "exec 3<>/dev/tcp/db.example.com/3307",
        "redisAddress 10.9.9.9": "exec 3<>/dev/tcp/10.9.9.9/6380",
        "mongodb.address 10.9.9.8": "exec 3<>/dev/tcp/10.9.9.8/27017",
    }


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"location": "external", "mariadbAddress": "m:1", "redisAddress": "r:1", "mongodb": {}}, "mongodb.address"),
        ({"location": "external"}, r"mariadbAddress and redisAddress \(HOST:PORT\) must be set"),
        (
            {"location": "external", "redisAddress": "r:1"},
            r"mariadbAddress \(HOST:PORT\) must be set with location external",
        ),
        ({"redisAddress": "r:1"}, "redisAddress cannot be set with location first-node"),
        ({"location": "external", "mariadbAddress": "nohost", "redisAddress": "r:1"}, "mariadbAddress"),
    ],
)
def test_addresses_that_do_not_match_the_location_are_rejected(values: dict[str, Any], text: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=text):
        DataSettings.model_validate(values)


# ---- MariaDB and Redis -----------------------------------------------------------------------------------------------


def test_mariadb_and_redis_listen_only_on_the_private_address() -> None:
    assert "bind-address = 10.0.4.20\n" in text_of("/etc/mysql/mariadb.conf.d/60-tandem.cnf")
    assert "\nbind 10.0.4.20\n" in text_of("/etc/redis/redis.conf")


@pytest.mark.parametrize(
    ("nodes", "connections"), [((A,), 130), ((A, B), 230), ((A, B, Node("iam-c", "10.0.4.22")), 330)]
)
def test_max_connections_is_enough_for_the_pools_of_all_nodes(nodes: tuple[Node, ...], connections: int) -> None:
    text = text_of("/etc/mysql/mariadb.conf.d/61-tandem-limits.cnf", nodes=nodes)
    assert f"max_connections = {connections}\n" in text
    statements = [query.statement for query in of_kind(Query, mariadb.desired(deployment(nodes=nodes), A))]
    assert f"SET GLOBAL max_connections = {connections}" in statements
    assert configuration("iam-apiserver")["mysql"]["max-open-connections"] * len(nodes) < connections


def test_accounts_exist_only_for_the_addresses_of_the_group_and_the_definer() -> None:
    items = mariadb.desired(deployment(), A)
    assert [(account.user, account.host) for account in of_kind(Account, items)] == [
        ("iam", "127.0.0.1"),
        ("iam", "10.0.4.20"),
        ("iam", "10.0.4.21"),
    ]


def test_only_the_definer_of_the_triggers_has_more_than_data_privileges() -> None:
    privileges = {grant.host: set(grant.privileges) for grant in of_kind(Grant, mariadb.desired(deployment(), A))}
    data = {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert privileges == {"127.0.0.1": data | {"TRIGGER"}, "10.0.4.20": data, "10.0.4.21": data}


def test_the_definer_is_created_before_the_schema_whose_triggers_name_it() -> None:
    items = mariadb.desired(deployment(), A)
    kinds = [type(item) for item in items]
    assert kinds.index(Unit) < kinds.index(Account) < kinds.index(Database) < kinds.index(Query)
    (database,) = of_kind(Database, items)
    assert database.schema == f"{STAND_IN.path}/sql/iam.sql"


def test_the_services_get_access_only_after_the_schema_is_loaded() -> None:
    """A schema may begin with DROP TABLE, and an interrupted load is repeated."""
    items = mariadb.desired(deployment(), A)
    database = next(number for number, item in enumerate(items) if isinstance(item, Database))
    granted = {item.host: number for number, item in enumerate(items) if isinstance(item, Grant)}
    assert {host for host, number in granted.items() if number < database} == {"127.0.0.1"}
    assert {host for host, number in granted.items() if number > database} == {"10.0.4.20", "10.0.4.21"}


def test_only_the_accounts_of_removed_nodes_are_deleted() -> None:
    """People's own accounts, such as iam@'%', are not in the record of the node."""
    three = deployment(nodes=(A, B, Node("iam-c", "10.0.4.22", eligible=False)))
    applied = find_leaving(mariadb.desired(three, A), ()).record
    removals = find_leaving(mariadb.desired(deployment(), A), applied).removals
    assert [describe_entry(entry) for entry in removals] == ["grant iam 10.0.4.22 iam", "account iam 10.0.4.22"]
    assert not [query for query in of_kind(Query, mariadb.desired(three, A)) if "DROP" in query.statement]


def test_an_additional_node_does_not_restart_the_databases() -> None:
    """MariaDB's limits change at run time, and its accounts are added."""
    before = {*mariadb.desired(deployment(), A), *redis.desired(deployment(), A)}
    larger = deployment(nodes=(A, B, Node("iam-c", "10.0.4.22", eligible=False)))
    changed = {*mariadb.desired(larger, A), *redis.desired(larger, A)} - before
    assert {type(item) for item in changed} == {Account, Grant, File, Query}
    assert all(not item.unit_actions() for item in changed)


def test_the_definer_of_the_triggers_keeps_its_name_when_the_account_of_the_services_changes() -> None:
    rotated = deployment(data=DataSettings(username="iam_g2"))
    items = mariadb.desired(rotated, rotated.nodes[0])
    assert {account.user for account in of_kind(Account, items) if account.host != "127.0.0.1"} == {"iam_g2"}
    assert [account.user for account in of_kind(Account, items) if account.host == "127.0.0.1"] == ["iam"]
    apiserver = next(item for item in render(rotated)["iam-b"].items if item.label == "/etc/iam/iam-apiserver.yaml")
    assert isinstance(apiserver, File)
    assert yaml.safe_load(apiserver.text)["mysql"]["username"] == "iam_g2"


def test_what_other_nodes_need_precedes_the_first_service_of_a_node() -> None:
    """Everything before it in the manifest is committed with it (provisioning/rollout/order.py)."""
    for node, manifest in render(deployment()).items():
        turns = [item.turn() for item in manifest.items]
        services = [number for number, item in enumerate(manifest.items) if item.label == "unit iam-apiserver"]
        last = max(number for number, turn in enumerate(turns) if turn is Turn.BEFORE_OTHERS)
        assert last < services[0], node


def test_the_administrators_password_is_only_set_when_the_secret_changes() -> None:
    query = of_kind(Query, mariadb.desired(deployment(), A))[0]
    assert find_names(query.statement) == find_names(query.unless) == {"iam_admin_password_hash"}
    assert "Admin@2021" not in query.statement


# ---- the services' configuration -------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", [A, B], ids=lambda node: node.name)
@pytest.mark.parametrize(("name", "ports"), [("iam-apiserver", (8080, 8443)), ("iam-authz-server", (9090, 9443))])
def test_services_listen_on_the_private_address_of_the_node(node: Node, name: str, ports: tuple[int, int]) -> None:
    given = configuration(name, node)
    for section, port in zip(("insecure", "secure"), ports, strict=True):
        assert (given[section]["bind-address"], given[section]["bind-port"]) == (node.private_address, port)


def test_the_secrets_rpc_and_the_health_page_of_the_pump_listen_on_loopback() -> None:
    assert configuration("iam-apiserver")["grpc"] == {"bind-address": "127.0.0.1", "bind-port": 8081}
    assert configuration("iam-authz-server")["rpcserver"] == "127.0.0.1:8081"
    assert configuration("iam-pump")["health-check-address"] == "127.0.0.1:7070"


def test_only_addresses_and_certificates_differ_between_nodes() -> None:
    def neutral(node: Node) -> dict[str, str]:
        files = {file.path: file.text for file in of_kind(File, iam.desired(deployment(), node))}
        own = (node.private_address, f".{node.name}@@")
        first_node_only = "After=mariadb.service\nAfter=redis-server.service\n"
        return {
            path: re.sub("|".join(map(re.escape, own)), "OWN", text.replace(first_node_only, ""))
            for path, text in files.items()
        }

    a, b = neutral(A), neutral(B)
    # The address of the first node is also the address of the databases in all files.
    assert {path: text.replace("10.0.4.20", "OWN") for path, text in b.items()} == a


@pytest.mark.parametrize("name", ["iam-apiserver", "iam-authz-server"])
def test_paths_without_a_login_are_disabled_and_bodies_are_not_logged(name: str) -> None:
    given = configuration(name)
    assert given["feature"] == {"profiling": False, "enable-metrics": False}
    middlewares = given["server"]["middlewares"].split(",")
    assert "logger" in middlewares
    assert "dump" not in middlewares


def test_audit_is_enabled_and_the_csv_pump_is_configured() -> None:
    assert configuration("iam-authz-server")["analytics"]["enable"] is True
    assert configuration("iam-pump")["pumps"] == {"csv": {"type": "csv", "meta": {"csv_dir": "/var/lib/iam/audit"}}}
    directories = {directory.path: directory for directory in of_kind(Directory, iam.desired(deployment(), A))}
    assert directories["/var/lib/iam/audit"].owner == "iam"


def test_all_services_use_the_same_redis_database() -> None:
    names = ("iam-apiserver", "iam-authz-server", "iam-pump")
    assert {configuration(name)["redis"]["database"] for name in names} == {0}
    assert all("username" not in configuration(name)["redis"] for name in names)


def test_the_jwt_key_and_lifetimes_come_from_secrets_and_settings() -> None:
    jwt = configuration("iam-apiserver", B, iam=IamSettings(token_lifetime_s=900))["jwt"]
    assert (jwt["key"], jwt["timeout"], jwt["max-refresh"]) == ("@@secret:jwt_key as yaml@@", "900s", "7200s")


def test_each_service_logs_to_the_journal_only() -> None:
    for name in ("iam-apiserver", "iam-authz-server", "iam-pump"):
        assert configuration(name)["log"]["output-paths"] == "stdout"


# ---- secrets ---------------------------------------------------------------------------------------------------------


def test_a_file_with_a_secret_is_only_readable_by_its_service() -> None:
    for node in (A, B):
        for file in of_kind(File, all_items(deployment(), node)):
            if find_names(file.text):
                assert file.mode == 0o640
                assert (file.owner, file.group) in {("root", "iam"), ("redis", "redis")}, file.path


def test_files_and_statements_use_the_secrets_that_the_program_generates() -> None:
    def names(node: Node) -> set[str]:
        items = all_items(deployment(), node)
        texts = [file.text for file in of_kind(File, items)]
        texts += [query.statement for query in of_kind(Query, items)]
        texts += [account.password for account in of_kind(Account, items)]
        return {name for text in texts for name in find_names(text)}

    hashes = {"iam_admin_password_hash", "iam_health_password_hash"}
    common = {"ca_certificate", "jwt_key", "mariadb_iam_password", "redis_password"}
    assert names(A) == common | {"node_certificate.iam-a", "node_private_key.iam-a", *hashes}
    assert names(B) == common | {"node_certificate.iam-b", "node_private_key.iam-b"}


# ---- release and units -----------------------------------------------------------------------------------------------


def test_a_release_is_installed_in_its_own_directory_and_the_link_restarts_the_services() -> None:
    items = iam.desired(deployment(), A)
    (archive,), (link,) = of_kind(Archive, items), of_kind(Link, items)
    assert archive.path == link.target == "/opt/iam/5f5f5f5f5f5f"
    assert link.path == "/opt/iam/current"
    assert {after.unit for after in link.after} == {"iam-apiserver", "iam-authz-server", "iam-pump"}
    assert {after.action for after in link.after} == {"restart"}


def test_only_the_stand_in_requires_python_packages() -> None:
    def packages(release: Release) -> set[str]:
        return {package.name for package in of_kind(Package, iam.desired(deployment(release=release), A))}

    assert "python3-pymysql" in packages(STAND_IN)
    assert not [name for name in packages(replace(STAND_IN, stand_in=False)) if name.startswith("python3")]


def test_services_are_always_restarted_and_start_after_local_databases() -> None:
    for name in ("iam-apiserver", "iam-authz-server", "iam-pump"):
        on_a, on_b = (text_of(f"/etc/systemd/system/{name}.service", node) for node in (A, B))
        assert "Restart=always\n" in on_a
        assert "StartLimitIntervalSec=0\n" in on_a
        assert "After=mariadb.service\nAfter=redis-server.service\n" in on_a
        assert "mariadb" not in on_b.split("[Service]")[0].replace("where MariaDB", "")
        assert "User=iam\n" in on_a
        assert {"MemoryMax=1024M", "OOMScoreAdjust=300", "LimitNOFILE=65536"} <= set(on_a.splitlines())
        assert f"SyslogIdentifier={name}\n" in on_a


def test_units_follow_their_files_and_have_a_health_gate() -> None:
    items = iam.desired(deployment(), B)
    positions = {item.name: number for number, item in enumerate(items) if isinstance(item, Unit)}
    for number, item in enumerate(items):
        if isinstance(item, (File, Link)):
            assert all(positions[after.unit] > number for after in item.after), item.path
    gates = {gate.name: gate.url for gate in of_kind(Gate, items)}
    assert gates == {
        "iam-apiserver": "http://10.0.4.21:8080/healthz",
        "iam-authz-server": "http://10.0.4.21:9090/healthz",
        "iam-pump": "http://127.0.0.1:7070/healthz",
    }


def test_a_certificate_that_the_authz_server_would_reject_is_found_before_a_change() -> None:
    checks = of_kind(Check, iam.desired(deployment(), A))
    (trusted,) = [check for check in checks if "verify" in check.command]
    assert trusted.command[4:6] == ("-verify_ip", "127.0.0.1")
    assert all(check.directories == ("/etc/iam",) for check in checks)


def test_a_lost_notification_is_repeated_within_the_refresh_interval() -> None:
    (timer,) = of_kind(Timer, iam.desired(deployment(iam=IamSettings(refresh_interval_s=20)), A))
    assert timer.unit == "iam-refresh.timer"
    assert "OnUnitActiveSec=20\n" in timer.text
    script = text_of("/usr/local/lib/tandem/iam-refresh", B)
    assert "redis-cli -h 10.0.4.20 -p 6379" in script
    assert "PUBLISH iam.cluster.notifications" in script
    assert not find_names(script), "the password must come from the environment"


def test_manifests_can_be_serialized_and_restored() -> None:
    for name, manifest in render(deployment()).items():
        restored = type(manifest).from_data(name, manifest.to_data(), manifest.files())
        assert restored == manifest


def test_the_start_log_of_the_real_services_reaches_the_journal_without_secrets(tmp_path: Path) -> None:
    real = deployment(release=replace(STAND_IN, stand_in=False))
    files = {file.path: file for file in of_kind(File, iam.desired(real, A))}
    runner = files["/usr/local/lib/tandem/run-censored"]
    assert (
        f"ExecStart={runner.path} /opt/iam/current/bin/iam-pump" in files["/etc/systemd/system/iam-pump.service"].text
    )
    assert runner.path not in {file.path for file in of_kind(File, iam.desired(deployment(), A))}

    script = tmp_path / "run-censored"
    script.write_text(runner.text)
    line = '{"jwt":{"realm":"x","key":"abc"},"redis":{"password":"d/e","port":1},"mysql":{"password":""}}'
    # iam-pump prints the URL of MongoDB, whose password is percent-encoded.
    line += " map[mongo_url:mongodb://audit:p%40ss%2Fw@10.9.9.8:27017/iam?authSource=admin]"
    completed = subprocess.run(
        ["bash", str(script), "sh", "-c", f"echo '{line}'; sleep 0.1; exit 3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 3
    expected = '{"jwt":{"realm":"x","key":"***"},"redis":{"password":"***","port":1},"mysql":{"password":"***"}}'
    expected += " map[mongo_url:mongodb://audit:***@10.9.9.8:27017/iam?authSource=admin]\n"
    assert completed.stdout == expected
