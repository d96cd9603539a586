"""Where the cluster is and which options every client of ours gets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, libversion

from penstock.errors import ConfigurationError
from penstock.kafka.statistics import Take, telling

if TYPE_CHECKING:
    from penstock.config import KafkaSettings

C = TypeVar("C")

Option = str | int | float | bool

LOGGER = logging.getLogger("penstock.kafka.client")

ErrorCallback = Callable[[KafkaError], None]

SOCKET_TIMEOUT_MS: Final = 10_000
"""A request that is not answered so long is given up, and sent again where that is allowed."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster and the options that pass through to librdkafka verbatim.

    Attributes:
        bootstrap_servers: `host:port`, comma-separated.
        client: options for every client (security, timeouts).
        producer: options for producers only; likewise `consumer` and `admin`.
        statistics: told what librdkafka says of each client that is made; None = it is not asked.
    """

    bootstrap_servers: str
    client: Mapping[str, Option] = field(default_factory=dict[str, Option])
    producer: Mapping[str, Option] = field(default_factory=dict[str, Option])
    consumer: Mapping[str, Option] = field(default_factory=dict[str, Option])
    admin: Mapping[str, Option] = field(default_factory=dict[str, Option])
    statistics: Take | None = None

    @staticmethod
    def of(settings: KafkaSettings) -> Connection:
        """The connection that the configuration describes."""
        return Connection(
            settings.bootstrap_servers,
            client=settings.client,
            producer=settings.producer,
            consumer=settings.consumer,
            admin=settings.admin,
        )

    def options(self, own: Mapping[str, Option], extra: Mapping[str, Option], client_id: str) -> dict[str, Any]:
        """Our defaults, overlaid by the configuration's.

        `own` are defaults of one kind of client, `extra` the configuration's for that kind. Options that would break a
        guarantee never get here: the configuration refuses them.
        """
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": client_id,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1_000,
            # A broker that stands still answers nobody, and its part goes to another one after some nine seconds. Who
            # waits for the client's own default, a minute, does not learn of it before.
            "socket.timeout.ms": SOCKET_TIMEOUT_MS,
            **own,
            **({} if self.statistics is None else telling(self.statistics)),
            **self.client,
            **extra,
            "logger": LOGGER,
            "error_cb": log_error,
        }


def log_error(error: KafkaError) -> None:
    """Connections come and go, the client reconnects by itself: worth a debug line, nothing more."""
    LOGGER.debug("%s: %s", error.name(), error.str())


def connected(client: Callable[[dict[str, Any]], C], options: dict[str, Any], name: str) -> C:
    """A client of this class, made with these options.

    Raises:
        ConfigurationError: librdkafka does not know an option, or refuses its value; it names both.
    """
    try:
        return client(options)
    except KafkaException as exc:
        raise ConfigurationError(
            f"the Kafka client refuses the options of '{name}': {exc.args[0].str()}; mend the tables of [kafka]"
        ) from exc


def let_go(admin_client: Any) -> None:
    """Destroy an admin client here and now, with whatever it was asked for; those futures never come.

    One that is left to be collected is destroyed by whichever thread looks for garbage. If that is its own, in the
    middle of an answer, an assertion ends the process (seen, librdkafka 2.16).
    """
    if admin_client is not None:
        admin_client.__exit__(None, None, None)


def librdkafka_version() -> str:
    """The version of the native client, such as `2.16.0`."""
    return libversion()[0]
