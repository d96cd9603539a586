"""What librdkafka tells of a client now and then, and of that the few numbers that anybody acts on.

Its whole document has some fifty numbers for each partition; what is not named here is skipped while it is parsed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

LOGGER: Final = logging.getLogger("penstock.kafka.client")
INTERVAL_MS: Final = 5_000
"""Between two documents, unless the configuration has another `statistics.interval.ms`."""


class Delivery(NamedTuple):
    """A record's way to its acknowledgement in the last interval, in seconds.

    Each part is that of the slowest broker, where 99 of 100 are faster.

    Attributes:
        queue_s: from being handed over to standing in a request.
        socket_s: until that request is with the socket.
        answer_s: until the broker has answered.
    """

    queue_s: float
    socket_s: float
    answer_s: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """One handle, at one moment.

    Attributes:
        handle: names it within the process; the counters below begin at 0 with a new one.
        kind: `producer` or `consumer`.
        queue_messages: handed over and not acknowledged; of a producer.
        queue_limit_messages: at so many it takes no more.
        queue_bytes: of these messages.
        throttle_s: for how long a broker has told it to wait, the longest of the last interval.
        rtt_p99_s: of a request's way to a broker and back, of the slowest broker; None = nothing was asked.
        request_retries: so far.
        request_timeouts: so far.
        epochs: producer epochs so far; 0 for a consumer.
        delivery: how long records took to be acknowledged; None = none was sent.
    """

    handle: str
    kind: str
    queue_messages: int
    queue_limit_messages: int
    queue_bytes: int
    throttle_s: float
    rtt_p99_s: float | None
    request_retries: int
    request_timeouts: int
    epochs: int
    delivery: Delivery | None = None


Take = Callable[[Statistics], None]


def telling(take: Take) -> dict[str, Any]:
    """The options that have a client tell `take` of itself; on the thread that polls it."""
    return {"statistics.interval.ms": INTERVAL_MS, "stats_cb": lambda document: _told(document, take)}


def parsed(document: str) -> Statistics:
    """The numbers of a document of librdkafka.

    Raises:
        msgspec.DecodeError: it is none.
    """
    found = msgspec.json.decode(document, type=_Document)
    brokers = list(found.brokers.values())
    return Statistics(
        handle=found.name,
        kind=found.type,
        queue_messages=found.msg_cnt,
        queue_limit_messages=found.msg_max,
        queue_bytes=found.msg_size,
        throttle_s=max((broker.throttle.max for broker in brokers), default=0) / 1_000,
        rtt_p99_s=_slowest_s(broker.rtt for broker in brokers),
        request_retries=sum(broker.txretries for broker in brokers),
        request_timeouts=sum(broker.req_timeouts for broker in brokers),
        epochs=found.eos.epoch_cnt,
        delivery=_delivery([broker for broker in brokers if broker.int_latency.cnt]),
    )


def _delivery(sent_to: Sequence[_Broker]) -> Delivery | None:
    """Of the brokers that were sent records: the coordinator is asked to commit, and answers that more slowly."""
    if not sent_to:
        return None
    ways = [[each.int_latency for each in sent_to], [each.outbuf_latency for each in sent_to]]
    return Delivery(*(_slowest_s(windows) or 0.0 for windows in (*ways, [each.rtt for each in sent_to])))


def _slowest_s(windows: Iterable[_Window]) -> float | None:
    """Of those in which there was something to measure."""
    return max((window.p99 / 1_000_000 for window in windows if window.cnt), default=None)


def _told(document: str, take: Take) -> None:
    try:
        statistics = parsed(document)
    except msgspec.DecodeError as exc:
        # It is told inside a poll, whose records would be lost with what is raised here.
        LOGGER.debug("statistics in a form that is not known: %s", type(exc).__name__)
        return
    take(statistics)


class _Window(msgspec.Struct):
    """Of the last interval; latencies in microseconds, throttling in milliseconds."""

    max: int = 0
    p99: int = 0
    cnt: int = 0


class _Broker(msgspec.Struct):
    txretries: int = 0
    req_timeouts: int = 0
    rtt: _Window = msgspec.field(default_factory=_Window)
    int_latency: _Window = msgspec.field(default_factory=_Window)
    outbuf_latency: _Window = msgspec.field(default_factory=_Window)
    throttle: _Window = msgspec.field(default_factory=_Window)


class _Idempotence(msgspec.Struct):
    epoch_cnt: int = 0


class _Document(msgspec.Struct):
    name: str
    type: str
    msg_cnt: int = 0
    msg_max: int = 0
    msg_size: int = 0
    brokers: dict[str, _Broker] = msgspec.field(default_factory=dict)
    eos: _Idempotence = msgspec.field(default_factory=_Idempotence)
