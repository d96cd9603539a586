"""What librdkafka's documents become, over the lives of several handles."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from penstock.kafka.client import Connection
from penstock.kafka.statistics import Delivery, Statistics, parsed
from penstock.monitoring import client_catalogue as catalogue
from penstock.monitoring.client_metrics import ClientMetrics
from penstock.runtime.clients import KafkaClients, Watched
from tests.unit.monitoring.parsing import scraped, value
from tests.unit.publishing.in_memory import ManualClock


def document(**changed: Any) -> str:
    """As librdkafka writes it, shortened; most of it is nothing to us."""
    broker = {
        "name": "127.0.0.1:9092/1",
        "state": "UP",
        "txretries": 3,
        "req_timeouts": 2,
        "rtt": {"min": 100, "max": 9_000, "avg": 400, "p99": 2_500, "cnt": 40},
        "throttle": {"min": 0, "max": 120, "p99": 100, "cnt": 4},
        "int_latency": {"min": 5, "max": 30_000, "p99": 21_000, "cnt": 1_400},
        "outbuf_latency": {"min": 5, "max": 700, "p99": 400, "cnt": 44},
    }
    idle = {**broker, "txretries": 1, "req_timeouts": 0, "rtt": {"p99": 90_000, "cnt": 0}, "throttle": {"max": 0}}
    del idle["int_latency"], idle["outbuf_latency"]
    whole = {
        "name": "p.0#producer-3",
        "client_id": "p.0",
        "type": "producer",
        "ts": 1,
        "msg_cnt": 7,
        "msg_size": 900,
        "msg_max": 200_000,
        "brokers": {"1": broker, "2": idle},
        "topics": {"secret": {"partitions": {"0": {"txmsgs": 5}}}},
        "eos": {"txn_state": "Ready", "producer_id": 12, "epoch_cnt": 4},
    }
    return json.dumps({**whole, **changed})


def statistics(
    handle: str, *, kind: str = "producer", retries: int = 0, timeouts: int = 0, epochs: int = 0
) -> Statistics:
    return Statistics(handle, kind, 1, 10, 100, 0.0, 0.002, retries, timeouts, epochs)


def test_of_a_document_only_what_is_named_is_taken_in_seconds() -> None:
    assert parsed(document()) == Statistics(
        handle="p.0#producer-3",
        kind="producer",
        queue_messages=7,
        queue_limit_messages=200_000,
        queue_bytes=900,
        throttle_s=0.12,
        rtt_p99_s=0.0025,
        request_retries=4,
        request_timeouts=2,
        epochs=4,
        delivery=Delivery(0.021, 0.0004, 0.0025),
    )


def test_delivery_is_that_of_the_slowest_broker_that_was_sent_records() -> None:
    """The coordinator is sent none; how long it takes to commit is no part of it."""
    near = {
        "int_latency": {"p99": 3_000, "cnt": 9},
        "outbuf_latency": {"p99": 50, "cnt": 3},
        "rtt": {"p99": 9_000, "cnt": 3},
    }
    far = {
        "int_latency": {"p99": 7_000, "cnt": 9},
        "outbuf_latency": {"p99": 20, "cnt": 3},
        "rtt": {"p99": 8_000, "cnt": 3},
    }
    coordinator = {
        "int_latency": {"p99": 0, "cnt": 0},
        "outbuf_latency": {"p99": 70_000, "cnt": 5},
        "rtt": {"p99": 90_000, "cnt": 5},
    }
    found = parsed(document(brokers={"1": near, "2": far, "TxnCoordinator": coordinator}))
    assert found.delivery == Delivery(0.007, 0.00005, 0.009)
    assert found.rtt_p99_s == 0.09
    assert parsed(document(brokers={"TxnCoordinator": coordinator})).delivery is None


def test_what_a_delivery_takes_is_told_by_its_stages_and_only_while_something_is_sent() -> None:
    metrics = ClientMetrics("p", ManualClock())
    metrics.take(replace(statistics("a"), delivery=Delivery(0.02, 0.001, 0.003)))
    metrics.take(statistics("c", kind="consumer"))
    found = scraped(metrics.families(is_idle=False))
    told = {stage: value(found, str(catalogue.DELIVERY), stage=stage) for stage in catalogue.DELIVERY_STAGES}
    assert told == {"queue": 0.02, "socket": 0.001, "answer": 0.003}
    metrics.take(statistics("a"))
    assert value(scraped(metrics.families(is_idle=False)), str(catalogue.DELIVERY)) is None


def test_a_client_without_brokers_has_no_round_trip() -> None:
    assert parsed(document(brokers={})).rtt_p99_s is None


def test_what_is_no_document_does_no_harm_to_the_poll_that_it_comes_in() -> None:
    found: list[Statistics] = []
    told = Connection("nowhere:1", statistics=found.append).options({}, {}, "p.0")["stats_cb"]
    told("{")
    told('{"name": 1}')
    told(document())
    assert [each.handle for each in found] == ["p.0#producer-3"]
    with pytest.raises(msgspec.DecodeError):
        parsed("{")


def test_statistics_are_asked_for_only_where_somebody_is_told_and_a_configured_interval_holds() -> None:
    assert "stats_cb" not in Connection("nowhere:1").options({}, {}, "p.0")
    watched = Connection("nowhere:1", client={"statistics.interval.ms": 100}, statistics=lambda _: None)
    assert watched.options({}, {}, "p.0")["statistics.interval.ms"] == 100


def test_only_the_workers_own_clients_are_told_of() -> None:
    """Those that restore, or end somebody else's transaction, come and go."""
    clients = KafkaClients(Connection("nowhere:1"), Watched("p.0", lambda _: None))
    assert clients._connection_of("p.0").statistics is not None
    assert clients._connection_of("p.1").statistics is None
    assert clients._connection_of("p.0.restore").statistics is None


def test_counters_go_on_over_handles_that_begin_anew_and_never_back() -> None:
    metrics = ClientMetrics("p", ManualClock())
    for told in (
        statistics("a", retries=2, timeouts=1, epochs=1),
        statistics("a", retries=3, timeouts=1, epochs=1),
        statistics("c", kind="consumer", retries=5),
        statistics("b", retries=1, timeouts=4, epochs=2),
        statistics("b", retries=1, timeouts=4, epochs=3),
    ):
        metrics.take(told)
    found = scraped(metrics.families(is_idle=False))
    assert value(found, str(catalogue.REQUEST_RETRIES), client="producer") == 3 + 1
    assert value(found, str(catalogue.REQUEST_TIMEOUTS), client="producer") == 1 + 4
    assert value(found, str(catalogue.REQUEST_RETRIES), client="consumer") == 5
    assert value(found, str(catalogue.EPOCHS)) == 1 + 3


def test_a_broker_that_leaves_the_cluster_takes_its_numbers_along_and_no_counter_goes_back() -> None:
    """The client counts for each broker; what is told is their sum."""
    metrics = ClientMetrics("p", ManualClock())
    for retries in (40, 3, 5):
        metrics.take(statistics("a", retries=retries, timeouts=retries, epochs=1))
    found = scraped(metrics.families(is_idle=False))
    assert value(found, str(catalogue.REQUEST_RETRIES), client="producer") == 40 + 2
    assert value(found, str(catalogue.REQUEST_TIMEOUTS), client="producer") == 40 + 2


def test_a_client_that_is_not_heard_any_more_is_not_told() -> None:
    clock = ManualClock()
    metrics = ClientMetrics("p", clock)
    metrics.take(statistics("a"))
    clock.now_s += 15
    metrics.take(statistics("c", kind="consumer"))
    assert value(scraped(metrics.families(is_idle=False)), str(catalogue.QUEUE_LIMIT)) == 10
    clock.now_s += 10
    found = scraped(metrics.families(is_idle=False))
    assert value(found, str(catalogue.QUEUE_LIMIT)) is None
    assert value(found, str(catalogue.BROKER_RTT), client="producer") is None
    assert value(found, str(catalogue.BROKER_RTT), client="consumer") == 0.002


def test_nothing_is_with_a_producer_that_has_no_transaction_open_whatever_it_said_last() -> None:
    """It is asked while there is something to write, and else says nothing."""
    clock = ManualClock()
    metrics = ClientMetrics("p", clock)
    assert value(scraped(metrics.families(is_idle=True)), str(catalogue.QUEUE_MESSAGES)) is None, "it was never heard"
    metrics.take(statistics("a"))
    assert value(scraped(metrics.families(is_idle=False)), str(catalogue.QUEUE_MESSAGES)) == 1
    for _ in range(2):
        told = scraped(metrics.families(is_idle=True))
        assert value(told, str(catalogue.QUEUE_MESSAGES)) == value(told, str(catalogue.QUEUE_BYTES)) == 0
        assert value(told, str(catalogue.QUEUE_LIMIT)) == 10
        clock.now_s += 1_000
    assert value(scraped(metrics.families(is_idle=False)), str(catalogue.QUEUE_MESSAGES)) is None
