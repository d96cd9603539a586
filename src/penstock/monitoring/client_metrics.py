"""What librdkafka says of a worker's consumer and producer, as metrics.

A worker goes through many producers: each that is dropped ends its counters, and the next begins at 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from penstock.clock import Clock
from penstock.kafka.statistics import INTERVAL_MS, Statistics
from penstock.monitoring import client_catalogue as catalogue
from penstock.monitoring.exposition import Family, one
from penstock.monitoring.instruments import Counter

_OLD_S: Final = 4 * INTERVAL_MS / 1_000
"""A client that was not heard for so long is not told: its loop stands still, or its handle is gone."""


class ClientMetrics:
    """Of one worker. `take` on its thread; `families` on any.

    Args:
        pipeline: its name.
        clock: time.
    """

    def __init__(self, pipeline: str, clock: Clock) -> None:
        self._pipeline, self._clock = pipeline, clock
        self._epochs = Counter(catalogue.EPOCHS, pipeline)
        self._retries = Counter(catalogue.REQUEST_RETRIES, pipeline)
        self._timeouts = Counter(catalogue.REQUEST_TIMEOUTS, pipeline)
        self._newest: dict[str, tuple[float, Statistics]] = {}
        self._epochs.add(0)
        for kind in catalogue.CLIENT_KINDS:
            self._retries.add(0, kind)
            self._timeouts.add(0, kind)

    def take(self, now: Statistics) -> None:
        """A client has told of itself."""
        _, before = self._newest.get(now.kind, (0.0, None))
        if before is not None and before.handle != now.handle:
            before = None
        for counter, so_far, then in (
            (self._retries, now.request_retries, before.request_retries if before else 0),
            (self._timeouts, now.request_timeouts, before.request_timeouts if before else 0),
        ):
            # What a broker has come to goes with it when it leaves the cluster.
            counter.add(max(0, so_far - then), now.kind)
        if now.kind == "producer":
            self._epochs.add(max(0, now.epochs - (before.epochs if before else 0)))
        # Swapped, never changed: another thread may be reading it.
        self._newest = {**self._newest, now.kind: (self._clock.monotonic_s(), now)}

    def families(self, *, is_idle: bool) -> Iterator[Family]:
        """As of now.

        Args:
            is_idle: no transaction is open, so nothing is with the producer. It says nothing itself then, for nobody
                asks it.
        """
        for counter in (self._epochs, self._retries, self._timeouts):
            yield counter.family()
        now_s, name = self._clock.monotonic_s(), self._pipeline
        heard = [told for at_s, told in self._newest.values() if now_s - at_s <= _OLD_S]
        yield Family(catalogue.THROTTLE, [((name, each.kind), each.throttle_s) for each in heard])
        yield Family(
            catalogue.BROKER_RTT,
            [((name, each.kind), each.rtt_p99_s) for each in heard if each.rtt_p99_s is not None],
        )
        yield Family(
            catalogue.DELIVERY,
            [
                ((name, stage), spent_s)
                for each in heard
                if each.delivery is not None
                for stage, spent_s in zip(catalogue.DELIVERY_STAGES, each.delivery, strict=True)
            ],
        )
        at_s, producer = self._newest.get("producer", (now_s, None))
        if producer is not None and (is_idle or now_s - at_s <= _OLD_S):
            yield one(catalogue.QUEUE_MESSAGES, 0 if is_idle else producer.queue_messages, name)
            yield one(catalogue.QUEUE_LIMIT, producer.queue_limit_messages, name)
            yield one(catalogue.QUEUE_BYTES, 0 if is_idle else producer.queue_bytes, name)
