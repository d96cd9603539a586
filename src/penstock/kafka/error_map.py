"""Broker and client codes, each turned into a family of `penstock.errors`, with a line of reason per code.

The transactional calls do not share one table: the same code means different things before and after a commit was sent,
so `from_commit` is stricter than `from_call` (KIP-98, KIP-447; librdkafka's transaction API).
"""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from penstock.errors import (
    ConfigurationError,
    Fenced,
    KafkaUnavailable,
    OperatorMustDecide,
    OutcomeUnknown,
    PenstockError,
    TransactionAborted,
)

_FAMILIES: dict[int, tuple[type[PenstockError], str]] = {
    # close: another instance took this transactional.id over, or the coordinator timed our transaction out
    KafkaError._FENCED: (Fenced, "a newer producer holds this transactional.id, or its transaction timed out"),
    KafkaError.PRODUCER_FENCED: (Fenced, "a newer producer holds this transactional.id"),
    KafkaError.INVALID_PRODUCER_EPOCH: (Fenced, "the producer epoch is older than the coordinator's"),
    # abort and rewind: the group moved on, or a part of the transaction did not arrive
    KafkaError.ILLEGAL_GENERATION: (TransactionAborted, "the group rebalanced since these records were read"),
    KafkaError.UNKNOWN_MEMBER_ID: (TransactionAborted, "the group no longer knows this member"),
    KafkaError.FENCED_INSTANCE_ID: (TransactionAborted, "another member holds this group.instance.id"),
    KafkaError.INVALID_TXN_STATE: (TransactionAborted, "the coordinator has already ended this transaction"),
    KafkaError._PURGE_QUEUE: (TransactionAborted, "the queue was purged"),
    KafkaError._PURGE_INFLIGHT: (TransactionAborted, "requests in flight were purged"),
    KafkaError._MSG_TIMED_OUT: (TransactionAborted, "records were not acknowledged in time"),
    KafkaError.MSG_SIZE_TOO_LARGE: (TransactionAborted, "a record is larger than the topic's max.message.bytes"),
    KafkaError.INVALID_RECORD: (TransactionAborted, "the broker refused a record (compacted topic and no key?)"),
    KafkaError.OFFSET_METADATA_TOO_LARGE: (TransactionAborted, "offset metadata exceeds the broker's limit"),
    # configuration: trying again cannot help
    KafkaError._AUTHENTICATION: (ConfigurationError, "authentication failed; check the sasl.* and ssl.* options"),
    KafkaError.SASL_AUTHENTICATION_FAILED: (ConfigurationError, "authentication failed; check the sasl.* options"),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (ConfigurationError, "no right to this topic; grant Write and Describe"),
    KafkaError.GROUP_AUTHORIZATION_FAILED: (ConfigurationError, "no right to this group; grant Read"),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: (ConfigurationError, "no right to this cluster operation"),
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
        ConfigurationError,
        "no right to this transactional.id; grant Write and Describe on it",
    ),
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        ConfigurationError,
        "transaction.timeout.ms is above the broker's transaction.max.timeout.ms",
    ),
    KafkaError.UNSUPPORTED_VERSION: (ConfigurationError, "the cluster is too old; Kafka 2.5 or newer is needed"),
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: (ConfigurationError, "the topic's message format is too old"),
    KafkaError.UNKNOWN_TOPIC_OR_PART: (ConfigurationError, "there is no such topic or partition; create it first"),
    KafkaError._UNKNOWN_TOPIC: (ConfigurationError, "there is no such topic; create it first"),
    KafkaError._UNKNOWN_PARTITION: (ConfigurationError, "there is no such partition"),
    KafkaError.TOPIC_EXCEPTION: (ConfigurationError, "the topic's name or state does not allow this"),
    KafkaError.POLICY_VIOLATION: (ConfigurationError, "the cluster's policy forbids this"),
    KafkaError.INVALID_TIMESTAMP: (
        ConfigurationError,
        "the topic refuses the time of now; compare this machine's clock with the broker's, and message.timestamp.*",
    ),
    KafkaError.INVALID_CONFIG: (ConfigurationError, "a topic setting is not valid"),
    KafkaError.INVALID_PARTITIONS: (ConfigurationError, "the number of partitions is not valid"),
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: (
        ConfigurationError,
        "workers of this pipeline that run now use another assignment strategy; stop all of them, then start",
    ),
    KafkaError.INVALID_SESSION_TIMEOUT: (
        ConfigurationError,
        "processing.session_timeout_ms is outside of what the brokers allow (group.min/max.session.timeout.ms)",
    ),
    KafkaError.GROUP_MAX_SIZE_REACHED: (ConfigurationError, "the group has as many members as the brokers allow"),
    KafkaError.UNSUPPORTED_ASSIGNOR: (ConfigurationError, "the brokers' group.consumer.assignors lack it"),
    KafkaError.INVALID_REPLICATION_FACTOR: (ConfigurationError, "there are fewer brokers than replicas asked for"),
    # an operator must decide: history is gone
    KafkaError.OFFSET_OUT_OF_RANGE: (OperatorMustDecide, "the position is no longer in the log"),
    KafkaError._AUTO_OFFSET_RESET: (OperatorMustDecide, "the position is no longer in the log"),
    KafkaError._LOG_TRUNCATION: (OperatorMustDecide, "the log was truncated below the position"),
    # retry: coordinators load and move, brokers restart
    KafkaError._TRANSPORT: (KafkaUnavailable, "no connection to the broker"),
    KafkaError._ALL_BROKERS_DOWN: (KafkaUnavailable, "no broker answers; is bootstrap.servers right?"),
    KafkaError._RESOLVE: (KafkaUnavailable, "the broker's host name does not resolve"),
    KafkaError._TIMED_OUT: (KafkaUnavailable, "no answer in time"),
    KafkaError._DESTROY_BROKER: (KafkaUnavailable, "the broker handle is being replaced"),
    KafkaError.COORDINATOR_NOT_AVAILABLE: (KafkaUnavailable, "the coordinator is not available yet"),
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS: (KafkaUnavailable, "the coordinator is loading its log"),
    KafkaError.NOT_COORDINATOR: (KafkaUnavailable, "the coordinator has moved"),
    KafkaError.CONCURRENT_TRANSACTIONS: (KafkaUnavailable, "the previous transaction is still being ended"),
    KafkaError.FENCED_LEADER_EPOCH: (KafkaUnavailable, "leadership has moved; metadata is stale"),
    KafkaError._NOENT: (KafkaUnavailable, "no leader is known for a partition yet"),
    KafkaError.LEADER_NOT_AVAILABLE: (KafkaUnavailable, "a leader is being elected"),
    KafkaError.NOT_LEADER_FOR_PARTITION: (KafkaUnavailable, "the partition's leader has moved"),
    KafkaError.UNSTABLE_OFFSET_COMMIT: (KafkaUnavailable, "a transaction with these offsets is still open"),
    KafkaError.REQUEST_TIMED_OUT: (KafkaUnavailable, "the broker did not finish in time"),
    KafkaError.NOT_ENOUGH_REPLICAS: (KafkaUnavailable, "fewer in-sync replicas than min.insync.replicas"),
    KafkaError.NOT_CONTROLLER: (KafkaUnavailable, "the controller has moved"),
}


def kafka_error(exc: BaseException) -> KafkaError | None:
    """The code inside an exception of the client, None where there is none (`SystemError` of the binding)."""
    if isinstance(exc, KafkaException) and exc.args and isinstance(exc.args[0], KafkaError):
        return exc.args[0]
    return exc if isinstance(exc, KafkaError) else None


def answer_behind(error: BaseException) -> KafkaError | None:
    """The code that an error was made of, by `raise ... from`; None where there is none."""
    return None if error.__cause__ is None else kafka_error(error.__cause__)


def behind_fatal(error: KafkaError) -> KafkaError | None:
    """The code that the text of a bare `_FATAL` is about, of those that have a family; the binding tells no other."""
    known = [KafkaError(code) for code in _FAMILIES]
    told = [each for each in known if each.str() in error.str()]
    return max(told, key=lambda each: len(each.str()), default=None)


def by_name(name: str, *, is_retriable: bool = False, is_fatal: bool = False) -> KafkaException:
    """The client's exception with this code, such as `ILLEGAL_GENERATION`; for clusters that are no Kafka."""
    return KafkaException(KafkaError(getattr(KafkaError, name), retriable=is_retriable, fatal=is_fatal))


def describe(error: KafkaError | None, exc: BaseException | None = None) -> str:
    """The code's name and our line of reason, for messages and logs; never the client's free text about a record."""
    if error is None:
        return f"the client library failed with {type(exc).__name__}" if exc else "unknown"
    reason = _FAMILIES.get(error.code(), (None, str(error.str())))[1]
    return f"{error.name()}: {reason}"


def from_call(exc: BaseException, doing: str) -> PenstockError:
    """What an error of any call but commit means.

    Args:
        exc: as raised by the client.
        doing: the call with its coordinates, for the message: "init_transactions of 'flights'".
    """
    error = kafka_error(exc)
    if error is None:
        # A fatal error makes the binding raise SystemError from flush() and lose delivery reports: never judge further.
        return TransactionAborted(f"{doing}: {describe(None, exc)}; discarding the transaction")
    family = _FAMILIES.get(error.code(), (None, ""))[0]
    message = f"{doing}: {describe(error)}"
    if family is None:
        if error.fatal():
            family = Fenced if error.name() in {"_FENCED", "PRODUCER_FENCED"} else TransactionAborted
        elif error.retriable():
            family = KafkaUnavailable
        else:
            family = TransactionAborted
    return family(message)


def from_commit(exc: BaseException, transactional_id: str) -> PenstockError:
    """What an error of `commit_transaction` means: no error of it proves "not committed".

    Retriable means: call commit again, and nothing else. Fenced keeps its name, since its outcome is asked for as well.
    """
    error = kafka_error(exc)
    doing = f"commit_transaction of '{transactional_id}'"
    if error is not None and error.retriable():
        return KafkaUnavailable(f"{doing}: {describe(error)}")
    if error is not None and _FAMILIES.get(error.code(), (None, ""))[0] is Fenced:
        return Fenced(f"{doing}: {describe(error)}")
    return OutcomeUnknown(f"{doing}: {describe(error, exc)}")
