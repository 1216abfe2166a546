"""The contract of the two stores, tested with the in-memory fakes and with MariaDB and Redis."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from iam_fakes import MemoryMessages, MemoryStore
from iam_real_servers import A, RealNode, group

from samples.iam.stand_in.config import Config
from samples.iam.stand_in.mariadb import MariaDbStore
from samples.iam.stand_in.records import Metadata, Policy, Secret, User
from samples.iam.stand_in.redis_messages import RedisMessages
from samples.iam.stand_in.stores import DuplicateNameError, Messages, Page, Store, StoreError

_BOTH = ["in memory", pytest.param("MariaDB and Redis", marks=pytest.mark.root)]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    with group(tmp_path_factory.mktemp("stores")) as (first, _):
        yield first


@pytest.fixture
def config(request: pytest.FixtureRequest) -> Config:
    node: RealNode = request.getfixturevalue("databases")
    secrets = node.secrets()
    return Config(
        "iam-apiserver",
        {
            "mysql.host": f"{A.private_address}:3306", "mysql.username": "iam", "mysql.database": "iam",
            "mysql.password": secrets["mariadb_iam_password"], "mysql.max-open-connections": 5,
            "redis.host": A.private_address, "redis.port": 6379, "redis.database": 0,
            "redis.password": secrets["redis_password"],
        },
    )  # fmt: skip


@pytest.fixture
def mariadb(config: Config) -> Iterator[MariaDbStore]:
    with closing(MariaDbStore.connect(config)) as store:
        yield store


@pytest.fixture(params=_BOTH)
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "in memory":
        return MemoryStore()
    real: MariaDbStore = request.getfixturevalue("mariadb")
    node: RealNode = request.getfixturevalue("databases")
    node.sql("DELETE FROM user;", "iam")
    return real


@pytest.fixture(params=_BOTH)
def messages(request: pytest.FixtureRequest) -> Iterator[Messages]:
    if request.param == "in memory":
        yield MemoryMessages()
        return
    with closing(RedisMessages.connect(request.getfixturevalue("config"))) as real:
        real.drop("list", 1000)
        yield real


def make_user(store: Store, name: str) -> User:
    user = User(Metadata(name, extend={"team": "x"}), nickname=name, password="h", email=f"{name}@example.com")
    store.create_user(user)
    return user


def make_secret(store: Store, username: str, name: str) -> Secret:
    secret = Secret(Metadata(name), username, secret_id="i" * 36, secret_key="k" * 32, expires=4_000_000_000)
    store.create_secret(secret)
    return secret


def make_policy(store: Store, username: str, name: str) -> Policy:
    policy = Policy(Metadata(name), username, {"id": name, "subjects": ["users:<ä|b>"]})
    store.create_policy(policy)
    return policy


def test_a_created_user_is_found_with_its_id_and_times(store: Store) -> None:
    made = make_user(store, "anna")
    found = store.find_user("anna")
    assert found
    assert (found.metadata.id, found.metadata.instance_id) == (made.metadata.id, made.metadata.instance_id)
    assert found.metadata.instance_id.startswith("user-")
    assert found.metadata.created_at
    assert found.metadata.extend == {"team": "x"}
    assert store.find_user("nobody") is None


def test_a_user_name_is_unique(store: Store) -> None:
    make_user(store, "anna")
    with pytest.raises(DuplicateNameError):
        make_user(store, "anna")


def test_a_disabled_user_is_not_found(store: Store) -> None:
    user = make_user(store, "anna")
    user.status = 0
    store.save_user(user)
    assert store.find_user("anna") is None
    assert store.list_users(Page()) == (0, [])


def test_a_changed_user_is_stored(store: Store) -> None:
    user = make_user(store, "anna")
    user.nickname, user.is_admin = "Ännchen", 1
    store.save_user(user)
    found = store.find_user("anna")
    assert found
    assert (found.nickname, found.is_admin) == ("Ännchen", 1)


def test_lists_are_newest_first_in_pages_with_the_total(store: Store) -> None:
    for name in ("anna", "bert", "anton"):
        make_user(store, name)
    total, users = store.list_users(Page(limit=2))
    assert (total, [user.metadata.name for user in users]) == (3, ["anton", "bert"])
    total, users = store.list_users(Page(offset=1, limit=2, name_contains="an"))
    assert (total, [user.metadata.name for user in users]) == (2, ["anna"])
    assert len(store.list_users(Page(limit=-1))[1]) == 3
    assert store.list_users(Page(limit=0)) == (3, [])


def test_the_first_of_several_secrets_with_one_name_is_found_and_all_are_deleted(store: Store) -> None:
    make_user(store, "anna")
    first, _ = make_secret(store, "anna", "s"), make_secret(store, "anna", "s")
    found = store.find_secret("anna", "s")
    assert found
    assert found.metadata.id == first.metadata.id
    assert found.expires == 4_000_000_000
    store.delete_secrets("anna", ["s"])
    assert store.list_secrets("anna", Page()) == (0, [])


def test_policies_are_stored_unchanged(store: Store) -> None:
    make_user(store, "anna")
    make_policy(store, "anna", "p")
    found = store.find_policy("anna", "p")
    assert found
    assert found.policy == {"id": "p", "subjects": ["users:<ä|b>"]}
    found.policy = {"id": "p", "subjects": None}
    store.save_policy(found)
    assert store.list_policies(None, Page())[1][0].policy == {"id": "p", "subjects": None}


def test_deleting_a_user_deletes_their_secrets_and_policies(store: Store) -> None:
    for name in ("anna", "bert"):
        make_user(store, name)
        make_secret(store, name, "s")
        make_policy(store, name, "p")
    store.delete_users(["anna", "nobody"])
    assert [secret.username for secret in store.list_secrets(None, Page())[1]] == ["bert"]
    assert [policy.username for policy in store.list_policies(None, Page())[1]] == ["bert"]


def test_deleting_an_empty_list_changes_nothing(store: Store) -> None:
    make_user(store, "anna")
    store.delete_users([])
    store.delete_policies("anna", [])
    store.delete_secrets("anna", ["none"])
    assert store.list_users(Page())[0] == 1


def test_a_name_longer_than_its_column_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError):
        make_user(store, "x" * 46)


def test_records_are_read_in_order_and_stay_until_they_are_dropped(messages: Messages) -> None:
    messages.append("list", [b"1", b"\xff2"])
    assert messages.read_all("list") == [b"1", b"\xff2"]
    messages.append("list", [b"3"])
    messages.drop("list", 2)
    assert messages.read_all("list") == [b"3"]
    messages.drop("list", 1)
    assert messages.read_all("list") == []


def test_only_the_owner_of_a_lock_can_release_it(messages: Messages) -> None:
    assert messages.acquire("lock", "a", 60)
    assert not messages.acquire("lock", "b", 60)
    messages.release("lock", "b")
    assert not messages.acquire("lock", "b", 60)
    messages.release("lock", "a")
    assert messages.acquire("lock", "b", 60)
    messages.release("lock", "b")


class _MessageReceived(Exception):  # noqa: N818 - it ends a subscription and is not an error
    pass


def test_a_subscriber_receives_only_the_messages_of_its_channel(messages: Messages) -> None:
    subscribed = threading.Event()
    texts: list[str] = []

    def receive(text: str) -> None:
        texts.append(text)
        raise _MessageReceived

    def listen() -> None:
        with suppress(_MessageReceived):
            messages.subscribe("c", subscribed.set, receive)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert subscribed.wait(5)
    messages.publish("another", "not this")
    messages.publish("c", '{"command":"PolicyChanged"}')
    listener.join(5)
    assert texts == ['{"command":"PolicyChanged"}']


@pytest.mark.root
def test_a_hanging_database_is_an_error_within_8_seconds(databases: RealNode, mariadb: MariaDbStore) -> None:
    databases.processes["mariadb"].signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StoreError):
            mariadb.find_user("admin")
        assert time.monotonic() - began < 8
    finally:
        databases.processes["mariadb"].signal(signal.SIGCONT)
    assert mariadb.list_users(Page())[0] >= 0


@pytest.mark.root
def test_requests_succeed_after_a_restart_of_the_database(databases: RealNode, mariadb: MariaDbStore) -> None:
    mariadb.list_users(Page())
    databases.processes["mariadb"].stop()
    databases.start_mariadb()
    assert mariadb.list_users(Page())[0] >= 0


@pytest.mark.root
def test_threads_wait_for_a_free_connection(mariadb: MariaDbStore) -> None:
    failures: list[BaseException] = []

    def list_users() -> None:
        try:
            for _ in range(10):
                mariadb.list_users(Page())
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=list_users) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not failures
