"""Five systems' dead letters, read into one model."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.deadletter.dead_letter import DeadLetter, Source
from penstock.deadletter.dialects import MAX_STACK, MAX_TEXT, read_letter
from penstock.deadletter.envelope import Author, Failure, headers_of
from penstock.deadletter.letter import Form, Letter, Original, letter_of
from penstock.errors import BadRecord
from penstock.record import Headers

USERS: Headers = (("traceparent", b"00-1"), ("tag", None), ("tag", b"2"))

JAVA_STACK = """org.apache.kafka.connect.errors.DataException: cannot parse 4111
\tat org.apache.kafka.connect.runtime.WorkerSinkTask.convert(WorkerSinkTask.java:494)
\tat java.base/java.lang.Thread.run(Thread.java:829)
Caused by: java.lang.NumberFormatException: For input string: "4111"
\tat java.base/java.lang.Long.parseLong(Long.java:692)
\tat app//com.acme.orders.Prices.parse(Prices.java:17)
\tat com.acme.orders.Prices.of(Prices.java:9)
\t... 13 more
"""

CONNECT: Headers = (
    ("__connect.errors.topic", b"orders"),
    ("__connect.errors.partition", b"3"),
    ("__connect.errors.offset", b"4711"),
    ("__connect.errors.connector.name", b"to-warehouse"),
    ("__connect.errors.task.id", b"0"),
    ("__connect.errors.stage", b"VALUE_CONVERTER"),
    ("__connect.errors.class.name", b"io.confluent.connect.avro.AvroConverter"),
    ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
    ("__connect.errors.exception.message", b"cannot parse 4111"),
    ("__connect.errors.exception.stacktrace", JAVA_STACK.encode()),
)
STREAMS: Headers = (
    ("__streams.errors.exception", b"com.acme.BadPrice"),
    ("__streams.errors.stacktrace", JAVA_STACK.encode()),
    ("__streams.errors.message", b"cannot parse 4111"),
    ("__streams.errors.topic", b"orders"),
    ("__streams.errors.partition", b"3"),
    ("__streams.errors.offset", b"4711"),
)
SHARE_GROUP: Headers = (
    ("__dlq.errors.topic", b"orders"),
    ("__dlq.errors.partition", b"3"),
    ("__dlq.errors.offset", b"4711"),
    ("__dlq.errors.group", b"pickers"),
    ("__dlq.errors.delivery.count", b"5"),
    ("__dlq.errors.message", b"rejected by consumer"),
)
SPRING: Headers = (
    ("kafka_dlt-original-topic", b"orders"),
    ("kafka_dlt-original-partition", struct.pack(">i", 3)),
    ("kafka_dlt-original-offset", struct.pack(">q", 4711)),
    ("kafka_dlt-original-timestamp", struct.pack(">q", 1_700_000_000_000)),
    ("kafka_dlt-original-timestamp-type", b"CREATE_TIME"),
    ("kafka_dlt-original-consumer-group", b"billing"),
    ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
    ("kafka_dlt-exception-cause-fqcn", b"com.acme.BadPrice"),
    ("kafka_dlt-exception-message", b"Listener failed; cannot parse 4111"),
    ("kafka_dlt-exception-stacktrace", JAVA_STACK.encode()),
    ("retry_topic-attempts", struct.pack(">i", 4)),
)
ALL: dict[str, Headers] = {"connect": CONNECT, "streams": STREAMS, "kafka": SHARE_GROUP, "spring": SPRING}


def letter(headers: Headers, **more: Any) -> DeadLetter:
    given_: dict[str, Any] = {"key": b"k", "value": b"v", "timestamp_ms": 99, **more}
    return read_letter("dlq", 1, 17, headers=headers, **given_)


def ours(original: Headers = USERS, form: Form = Form.WHOLE, **more: Any) -> DeadLetter:
    made = written_letter(original, form, **more)
    return letter(made.headers, key=made.key, value=made.value, timestamp_ms=made.timestamp_ms)


def written(**more: Any) -> Headers:
    return written_letter(USERS, Form.WHOLE, **more).headers


def written_letter(original: Headers, form: Form, **more: Any) -> Letter:
    with pytest.raises(BadRecord) as caught:
        raise BadRecord("planted", reason="planted")
    failure = Failure(
        stage="process",
        error=caught.value,
        author=Author("delays", "1", "shop.delays", "shop.delays.0"),
        source="orders",
        position="4711",
        failed_ms=1_700_000_000_000,
        partition=3,
        operator="add",
        **more,
    )
    return letter_of(Original(b"k", b"v", original, 12_345), failure, form, 1_000_000)


@pytest.mark.parametrize("dialect", ALL)
def test_each_dialect_names_where_the_original_stood_and_gives_back_its_headers(dialect: str) -> None:
    read = letter(USERS + ALL[dialect])
    assert read.dialect == dialect
    assert read.source == Source("orders", 3, 4711)
    assert read.headers == USERS
    assert (read.key, read.value, read.is_whole, read.problems) == (b"k", b"v", True, ())
    assert str(read) == "dlq[1]@17"


def test_what_ours_say() -> None:
    read = ours()
    assert (read.dialect, read.source, read.headers) == ("penstock", Source("orders", 3, 4711), USERS)
    assert (read.pipeline, read.operator, read.stage) == ("delays", "add", "process")
    assert (read.exception, read.reason, read.message) == ("penstock.errors.BadRecord", "planted", "planted")
    assert read.place.startswith("test_dialects.py:")
    assert (read.failed_ms, read.seen_ms, read.original_ms) == (1_700_000_000_000, 1_700_000_000_000, 12_345)
    assert not read.may_quote_payload
    assert len(read.fingerprint) == 16
    assert read.is_whole
    assert (read.worker, read.attempts) == ("shop.delays.0", None)
    assert (read.key_schema_id, read.value_schema_id) == (None, None)


def test_ours_name_worker_attempts_and_schemas_in_kafkas_words_where_it_has_some() -> None:
    read = ours(attempts=3, key_schema_id=7, value_schema_id=0)
    assert (read.worker, read.attempts, read.key_schema_id, read.value_schema_id) == ("shop.delays.0", 3, 7, 0)
    headers: Headers = tuple(pair for pair in written(attempts=3) if pair[0].startswith("__dlq."))
    of_kafka = letter(headers)
    assert (of_kafka.dialect, of_kafka.pipeline, of_kafka.attempts) == ("kafka", "shop.delays", 3)


def test_what_connect_says() -> None:
    read = letter(CONNECT)
    assert (read.pipeline, read.operator) == ("to-warehouse/0", "io.confluent.connect.avro.AvroConverter")
    assert (read.stage, read.exception) == ("decode", "org.apache.kafka.connect.errors.DataException")
    assert read.message == "cannot parse 4111"
    assert read.may_quote_payload


def test_what_springs_say_in_big_endian() -> None:
    read = letter(SPRING)
    assert (read.pipeline, read.stage, read.exception) == ("billing", "process", "com.acme.BadPrice")
    assert (read.original_ms, read.attempts) == (1_700_000_000_000, 4)


def test_of_springs_piled_up_origins_the_first_is_meant() -> None:
    """Its own retry topics come behind."""
    again = tuple((name, b"orders-retry-0" if name.endswith("original-topic") else value) for name, value in SPRING)
    assert letter(SPRING + again).source == Source("orders", 3, 4711)


def test_what_share_groups_say() -> None:
    read = letter(SHARE_GROUP)
    assert (read.pipeline, read.attempts, read.message) == ("pickers", 5, "rejected by consumer")
    assert not letter(SHARE_GROUP, key=None, value=None).is_whole


def test_a_record_without_words_of_a_failure_is_of_no_dialect() -> None:
    read = letter(USERS)
    assert (read.dialect, read.source, read.headers) == ("none", None, USERS)
    assert len(read.fingerprint) == 16


@pytest.mark.parametrize("earlier", ALL)
@pytest.mark.parametrize("later", ALL)
def test_the_last_to_speak_is_heard_and_what_was_there_before_is_the_originals(earlier: str, later: str) -> None:
    """A pipeline may read another system's dead letters as its input, and fail on them."""
    if earlier == later:
        return
    read = letter(USERS + ALL[earlier] + ALL[later])
    assert read.dialect == later
    assert read.headers == USERS + ALL[earlier]


def test_over_foreign_headers_ours_are_heard() -> None:
    assert ours(USERS + CONNECT).headers == USERS + CONNECT
    assert ours(USERS + CONNECT).dialect == "penstock"


def test_the_place_is_in_the_users_code_below_the_last_cause() -> None:
    assert letter(CONNECT).place == "com.acme.orders.Prices.parse(Prices.java:17)"


def test_a_fingerprint_is_equal_for_equal_failures_and_differs_by_place() -> None:
    def with_stack(stack: str, message: bytes = b"cannot parse 1") -> str:
        headers = dict(STREAMS)
        headers["__streams.errors.stacktrace"], headers["__streams.errors.message"] = stack.encode(), message
        return letter(tuple(headers.items())).fingerprint

    assert with_stack(JAVA_STACK, b"cannot parse 2") == with_stack(JAVA_STACK)
    assert with_stack(JAVA_STACK.replace("Prices.java:17", "Prices.java:18")) != with_stack(JAVA_STACK)


def test_without_a_stack_the_message_tells_failures_apart_but_for_what_varies() -> None:
    def with_message(message: str) -> str:
        headers = tuple(p for p in SHARE_GROUP if p[0] != "__dlq.errors.message")
        return letter((*headers, ("__dlq.errors.message", message.encode()))).fingerprint

    assert with_message("order 17 of 'ann' refused") == with_message("order 4711 of 'bob' refused")
    assert with_message("order 17 of 'ann' refused") != with_message("order 17 of 'ann' timed out")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("__connect.errors.partition", b"three"),
        ("__connect.errors.partition", b"-1"),
        ("__connect.errors.offset", b"99999999999999999999"),
        ("__connect.errors.offset", "١٢".encode()),  # digits, but not ours
    ],
)
def test_numbers_that_make_no_sense_are_noted_and_left_out(name: str, value: bytes) -> None:
    read = letter(tuple((n, value if n == name else v) for n, v in CONNECT))
    assert read.source is not None
    assert None in (read.source.partition, read.source.offset)
    assert read.problems == (f"header {name} is no number",)


def test_integers_of_another_size_are_noted_and_left_out() -> None:
    read = letter(tuple((n, b"17" if n.endswith("original-offset") else v) for n, v in SPRING))
    assert read.source == Source("orders", 3, None)
    assert read.problems == ("header kafka_dlt-original-offset has 2 bytes, not 8",)


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([name for each in ALL.values() for name, _ in each])
            | st.sampled_from(["penstock.dlq.stage", "penstock.dlq.fingerprint", "penstock.dlq.redrive.count", "x"]),
            st.none() | st.binary(max_size=40) | st.just(b"\xff" * 100_000),
        ),
        max_size=30,
    )
)
def test_whatever_stands_in_headers_is_read_and_bounded(headers: list[tuple[str, bytes | None]]) -> None:
    read = letter(tuple(headers))
    assert len(read.fingerprint) == 16
    texts = (read.pipeline, read.operator, read.stage, read.exception, read.reason, read.message, read.place)
    assert max(map(len, texts)) <= 2 * MAX_TEXT + 1
    assert len(read.stack) <= MAX_STACK
    assert len(read.problems) <= 10


@pytest.mark.parametrize("form", [Form.WITHOUT_VALUE, Form.POINTER])
def test_what_holds_a_part_of_the_original_says_so(form: Form) -> None:
    read = ours(form=form)
    assert not read.is_whole
    assert read.original_ms == 12_345


def test_a_producers_row_has_no_topic_that_it_came_from() -> None:
    headers = headers_of(Failure("convert", BadRecord("x"), Author("flights", "1"), "flights", "17", 5))
    assert letter(headers).source is None


def test_a_record_that_was_redriven_and_fails_again_tells_how_often() -> None:
    """And one that only was redriven is no dead letter for it."""
    redriven: Headers = (
        ("penstock.dlq.redrive.id", b"20261126-1"),
        ("penstock.dlq.redrive.count", b"2"),
        ("penstock.dlq.redrive.group", b"delays"),
    )
    again = ours(USERS + redriven)
    assert (again.redrives, again.redrive_id, again.headers) == (2, "20261126-1", USERS)
    assert letter(USERS + redriven).dialect == "none"
    by_another = letter(USERS + redriven + CONNECT)
    assert (by_another.dialect, by_another.redrives, by_another.headers) == ("connect", 2, USERS)


def test_behind_a_repartition_topic_the_headers_that_its_readers_need_are_restored() -> None:
    read = ours(origin=b"in[0]@5", event_time=b"77")
    assert read.restored == (("penstock.origin", b"in[0]@5"), ("penstock.time", b"77"))
    assert read.headers == USERS
