"""Codes become families by what the caller does; after a commit was sent, none of them proves "not committed"."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from penstock.errors import (
    ConfigurationError,
    Fenced,
    KafkaUnavailable,
    OperatorMustDecide,
    OutcomeUnknown,
    PenstockError,
    Retriable,
    TransactionAborted,
)
from penstock.kafka.error_map import describe, from_call, from_commit, kafka_error

ALL_CODES = sorted(
    {code for name in dir(KafkaError) if name.isupper() and isinstance(code := getattr(KafkaError, name), int)}
)

FAMILIES: list[tuple[int, type[PenstockError]]] = [
    (KafkaError._FENCED, Fenced),
    (KafkaError.INVALID_PRODUCER_EPOCH, Fenced),
    (KafkaError.ILLEGAL_GENERATION, TransactionAborted),
    (KafkaError.UNKNOWN_MEMBER_ID, TransactionAborted),
    (KafkaError.FENCED_INSTANCE_ID, TransactionAborted),
    (KafkaError.MSG_SIZE_TOO_LARGE, TransactionAborted),
    (KafkaError.INVALID_RECORD, TransactionAborted),
    (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ConfigurationError),
    (KafkaError.TOPIC_AUTHORIZATION_FAILED, ConfigurationError),
    (KafkaError.INVALID_TRANSACTION_TIMEOUT, ConfigurationError),
    (KafkaError.UNKNOWN_TOPIC_OR_PART, ConfigurationError),
    (KafkaError.INVALID_TIMESTAMP, ConfigurationError),
    (KafkaError.UNSUPPORTED_VERSION, ConfigurationError),
    (KafkaError.OFFSET_OUT_OF_RANGE, OperatorMustDecide),
    (KafkaError._AUTO_OFFSET_RESET, OperatorMustDecide),
    (KafkaError._LOG_TRUNCATION, OperatorMustDecide),
    (KafkaError._TRANSPORT, KafkaUnavailable),
    (KafkaError._ALL_BROKERS_DOWN, KafkaUnavailable),
    (KafkaError._TIMED_OUT, KafkaUnavailable),
    (KafkaError.NOT_COORDINATOR, KafkaUnavailable),
    (KafkaError.CONCURRENT_TRANSACTIONS, KafkaUnavailable),
    (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaUnavailable),
    (KafkaError.FENCED_LEADER_EPOCH, KafkaUnavailable),
    (KafkaError.UNSTABLE_OFFSET_COMMIT, KafkaUnavailable),
]


def raised(code: int, *, fatal: bool = False, retriable: bool = False) -> KafkaException:
    return KafkaException(KafkaError(code, "text about payload", fatal, retriable))


@pytest.mark.parametrize(("code", "family"), FAMILIES, ids=lambda value: str(getattr(value, "__name__", value)))
def test_a_code_of_a_call_has_its_family(code: int, family: type[PenstockError]) -> None:
    error = from_call(raised(code), "calling 'x'")
    assert type(error) is family
    assert str(error).startswith(f"calling 'x': {KafkaError(code).name()}: ")


def test_an_unknown_code_is_judged_by_its_flags() -> None:
    assert type(from_call(raised(KafkaError.UNKNOWN), "x")) is TransactionAborted
    assert type(from_call(raised(KafkaError.UNKNOWN, retriable=True), "x")) is KafkaUnavailable
    assert type(from_call(raised(KafkaError.UNKNOWN, fatal=True, retriable=True), "x")) is TransactionAborted


def test_an_error_of_the_binding_discards_the_transaction() -> None:
    """A fatal error makes `flush` raise `SystemError` without a code."""
    error = from_call(SystemError("returned a result with an exception set"), "flush of 'x'")
    assert type(error) is TransactionAborted
    assert "SystemError" in str(error)


@pytest.mark.parametrize("fatal", [False, True])
@pytest.mark.parametrize("retriable", [False, True])
def test_no_error_of_a_commit_says_that_it_was_not_committed(*, fatal: bool, retriable: bool) -> None:
    """Whatever the code: repeat the commit, or ask the log."""
    for code in ALL_CODES:
        error = from_commit(raised(code, fatal=fatal, retriable=retriable), "x")
        assert isinstance(error, KafkaUnavailable if retriable else (OutcomeUnknown, Fenced)), code
    assert isinstance(from_commit(SystemError(), "x"), OutcomeUnknown)


def test_only_fencing_keeps_its_name_at_a_commit() -> None:
    for code, family in FAMILIES:
        assert type(from_commit(raised(code), "x")) is (Fenced if family is Fenced else OutcomeUnknown)


def test_every_code_has_a_family_and_a_line() -> None:
    for code in ALL_CODES:
        error = from_call(raised(code), "x")
        assert isinstance(error, (Retriable, TransactionAborted, Fenced, ConfigurationError, OperatorMustDecide))
        assert len(str(error)) > 8


def test_known_codes_are_described_in_our_words() -> None:
    """The client's own text may tell about a record."""
    assert describe(KafkaError(KafkaError.INVALID_RECORD, "text about payload")) == (
        "INVALID_RECORD: the broker refused a record (compacted topic and no key?)"
    )


def test_the_code_is_found_in_what_the_client_raises() -> None:
    error = KafkaError(KafkaError._TRANSPORT)
    assert kafka_error(KafkaException(error)) is error
    assert kafka_error(ValueError("x")) is None
    assert kafka_error(KafkaException()) is None
