"""Notices, the audit list and the pump's lock in Redis."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import cast

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from .config import Config
from .stores import MessagesError

_TIMEOUT_S = 3
_SILENCE_S = 30  # a subscription without a message or ping for this long is renewed
# Delete only the owner's lock: it may have expired and belong to another pump.
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


class RedisMessages:
    """See `stores.Messages`. Connections are opened on demand, so Redis may be down at start."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    @classmethod
    def connect(cls, config: Config) -> RedisMessages:
        return cls(
            redis.Redis(
                host=config.text("redis.host"),
                port=config.number("redis.port"),
                password=config.text("redis.password") or None,
                db=config.number("redis.database"),
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                # Without it, the first notice after Redis' node lost its power goes into a connection that only this
                # side knows, and is lost. go-redis, which the real servers use, repeats commands too.
                retry=Retry(ExponentialBackoff(cap=0.5, base=0.1), 2),
                retry_on_error=[redis.ConnectionError, redis.TimeoutError],
            )
        )

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def publish(self, channel: str, text: str) -> None:
        with _errors():
            self._client.publish(channel, text)

    def subscribe(self, channel: str, on_subscribed: Callable[[], None], on_message: Callable[[str], None]) -> None:
        with _errors(), self._client.pubsub() as subscription:
            subscription.subscribe(channel)
            silent_s = 0
            while True:
                message = subscription.get_message(timeout=1.0)
                silent_s = 0 if message else silent_s + 1
                if silent_s and silent_s % 10 == 0:
                    subscription.ping()
                if silent_s > _SILENCE_S:
                    raise MessagesError(f"no message or ping on {channel} for {_SILENCE_S} s")
                if message and message["type"] == "subscribe":
                    on_subscribed()
                elif message and message["type"] == "message":
                    data = message["data"]
                    on_message(data.decode() if isinstance(data, bytes) else str(data))

    def append(self, key: str, records: Sequence[bytes]) -> None:
        with _errors():
            self._client.rpush(key, *records)

    def read_all(self, key: str) -> list[bytes]:
        with _errors():
            return cast("list[bytes]", self._client.lrange(key, 0, -1))

    def drop(self, key: str, count: int) -> None:
        with _errors():
            self._client.ltrim(key, count, -1)

    def acquire(self, key: str, owner: str, seconds: int) -> bool:
        with _errors():
            return bool(self._client.set(key, owner, nx=True, ex=seconds))

    def release(self, key: str, owner: str) -> None:
        with _errors():
            self._client.eval(_RELEASE, 1, key, owner)


@contextmanager
def _errors() -> Generator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise MessagesError(str(error)) from error
