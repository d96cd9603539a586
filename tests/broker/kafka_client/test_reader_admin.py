"""Reader and admin on a real broker: what each isolation level sees, and what errors say."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from penstock.errors import (
    ConfigurationError,
    Fenced,
    KafkaUnavailable,
    OperatorMustDecide,
    PenstockError,
    ServerUnreachable,
)
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.partitioner import partition_for
from penstock.kafka.producer import IdempotentProducer
from penstock.kafka.reader import BEGINNING, END, RawRecord, Reader, read_to_end
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker


@pytest.fixture
def connection(kafka: KafkaUnderTest) -> Connection:
    return Connection(kafka.bootstrap_servers)


@pytest.fixture
def admin(connection: Connection) -> Admin:
    return Admin(connection)


@pytest.fixture
def topic(admin: Admin, topic_prefix: str) -> str:
    name = f"{topic_prefix}-t"
    assert admin.create([TopicSettings(name, 2)]) == [name]
    return name


@pytest.fixture
def writer(connection: Connection, topic_prefix: str) -> Iterator[KafkaTransactionalProducer]:
    """An initialised transactional producer; dropped at the end with whatever is open."""
    producer = writer_of(connection, topic_prefix)
    yield producer
    producer.close()


def writer_of(connection: Connection, identity: str) -> KafkaTransactionalProducer:
    producer = KafkaTransactionalProducer(connection, identity, 60_000, max_batch_bytes=1_000_000)
    deadline = time.monotonic() + 30
    while True:
        try:
            producer.init_transactions(5)
        except KafkaUnavailable:
            assert time.monotonic() < deadline
        else:
            return producer


def put(writer: KafkaTransactionalProducer, topic: str, *values: bytes, partition: int = 0) -> None:
    """Stage values in the open transaction, and wait until the broker has them."""
    writer.produce(topic, [b"k"] * len(values), list(values), partitions=[partition] * len(values))
    writer.flush(10)


def read(reader: Reader, count: int) -> list[RawRecord]:
    """So many records, and not one more within a poll."""
    found: list[RawRecord] = []
    deadline = time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records"
        found += reader.poll(0.2)
    return found


def read_until_end(reader: Reader, topic: str) -> list[bytes | None]:
    """What stands before the end of partition 0, as this reader sees the end."""
    values: list[bytes | None] = []
    deadline = time.monotonic() + 20
    while (topic, 0) not in reader.at_end:
        assert time.monotonic() < deadline
        values += [record.value for record in reader.poll(0.2)]
    return values


def test_open_and_aborted_records_are_seen_by_the_uncommitted_level_only(
    connection: Connection, admin: Admin, topic: str, writer: KafkaTransactionalProducer, topic_prefix: str
) -> None:
    """Watermarks follow the level: the last stable offset against the high watermark; so does `end_offsets`."""
    writer.begin_transaction()
    put(writer, topic, b"committed")
    writer.commit_transaction(10)
    writer.begin_transaction()
    put(writer, topic, b"open")
    with Reader(connection) as stable, Reader(connection, isolation="read_uncommitted") as dirty:
        assert stable.watermarks(topic, 0) == (0, 2)  # the record and its commit marker
        assert dirty.watermarks(topic, 0) == (0, 3)
        assert admin.end_offsets([(topic, 0)], "read_committed") == {(topic, 0): 2}
        assert admin.end_offsets([(topic, 0), (topic, 1)]) == {(topic, 0): 3, (topic, 1): 0}
        assert admin.begin_offsets([(topic, 0)]) == {(topic, 0): 0}
        for reader in (stable, dirty):
            reader.assign({(topic, 0): BEGINNING})
        assert read_until_end(stable, topic) == [b"committed"]
        assert read_until_end(dirty, topic) == [b"committed", b"open"]
        writer_of(connection, topic_prefix).close()  # aborts what is open
        for reader in (stable, dirty):
            reader.assign({(topic, 0): BEGINNING})
        _until(lambda: admin.end_offsets([(topic, 0)], "read_committed")[topic, 0] == 4)
        assert read_until_end(stable, topic) == [b"committed"]
        assert stable.position(topic, 0) is not None


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_read_to_end_waits_for_an_open_transaction_and_sees_what_it_commits(
    connection: Connection, topic: str, writer: KafkaTransactionalProducer
) -> None:
    """Stopping at the last stable offset would miss it: how a cursor would be read that is not the last."""
    writer.begin_transaction()
    put(writer, topic, b"before")
    writer.commit_transaction(10)
    writer.begin_transaction()
    put(writer, topic, b"open")
    found: list[bytes | None] = []
    waiting = threading.Event()

    def read_all() -> None:
        for record in read_to_end(connection, topic, 0, client_id="test", stall_timeout_s=30):
            found.append(record.value)
            waiting.set()

    reading = threading.Thread(target=read_all)
    reading.start()
    assert waiting.wait(20)
    put(writer, topic, b"late")  # behind the end as it was asked: not waited for
    assert reading.is_alive()
    assert found == [b"before"]
    writer.commit_transaction(10)
    reading.join(20)
    assert found == [b"before", b"open"]


def test_read_to_end_gives_up_on_a_transaction_that_stays_open(
    connection: Connection, topic: str, writer: KafkaTransactionalProducer
) -> None:
    writer.begin_transaction()
    put(writer, topic, b"open")
    with pytest.raises(ServerUnreachable, match=r"stuck at offset 0 of 1 for 1 s; a transaction of another producer"):
        list(read_to_end(connection, topic, 0, client_id="test", stall_timeout_s=1))


def test_read_to_end_of_an_empty_partition_gives_nothing(connection: Connection, topic: str) -> None:
    assert list(read_to_end(connection, topic, 1, client_id="test")) == []


def test_a_partition_that_ends_with_an_abort_is_read_to_its_end(
    connection: Connection, topic: str, writer: KafkaTransactionalProducer, topic_prefix: str
) -> None:
    """Control records count as offsets and are no records: the position steps over them."""
    writer.begin_transaction()
    put(writer, topic, b"lost")
    again = writer_of(connection, topic_prefix)
    assert list(read_to_end(connection, topic, 0, client_id="test", stall_timeout_s=20)) == []
    again.close()


def test_offsets_at_a_time(connection: Connection, topic: str) -> None:
    """The first record that is not older; `END` behind the last, and for a partition without records."""
    producer = IdempotentProducer(connection, "test")
    for value in (b"a", b"b"):
        producer.produce(topic, [None], [value], partitions=[0])
        producer.flush(10)
        time.sleep(0.01)  # so that the two have different times
    producer.close()
    with Reader(connection) as reader:
        reader.assign({(topic, 0): BEGINNING})
        first, second = read(reader, 2)
        assert first.timestamp_ms is not None
        assert second.timestamp_ms is not None
        both = [(topic, 0), (topic, 1)]
        assert reader.offsets_at(both, first.timestamp_ms) == {(topic, 0): 0, (topic, 1): END}
        assert reader.offsets_at(both, first.timestamp_ms + 1)[topic, 0] == 1
        assert reader.offsets_at(both, second.timestamp_ms + 1)[topic, 0] == END


def test_a_record_is_read_with_all_it_has(connection: Connection, topic: str) -> None:
    producer = IdempotentProducer(connection, "test")
    headers = [(("a", b"1"), ("a", None), ("b", b"\xff")), ()]
    producer.produce(topic, [b"k", None], [b"v", None], partitions=[1, 1], headers=headers)
    producer.flush(10)
    producer.close()
    with Reader(connection) as reader:
        reader.assign({(topic, 1): BEGINNING})
        first, second = read(reader, 2)
        assert (first.key, first.value, first.headers) == (b"k", b"v", headers[0])
        assert (second.key, second.value, second.headers) == (None, None, ())
        assert (first.topic, first.partition, first.offset, second.offset) == (topic, 1, 0, 1)
        assert abs((first.timestamp_ms or 0) - time.time() * 1000) < 60_000
        assert reader.position(topic, 1) == 2
        reader.assign({(topic, 1): 1})
        assert [r.offset for r in read(reader, 1)] == [1]


def test_a_position_that_is_no_longer_there_needs_an_operator(connection: Connection, topic: str) -> None:
    """The client must never jump to another offset by itself."""
    with Reader(connection) as reader:
        reader.assign({(topic, 0): 1_000})
        error = _error_of(reader)
    assert isinstance(error, OperatorMustDecide)
    assert f"{topic}[0]" in str(error)


def test_an_unknown_topic_is_a_configuration_error(connection: Connection, topic_prefix: str, topic: str) -> None:
    missing = f"{topic_prefix}-missing"
    with Reader(connection) as reader:
        with pytest.raises(ConfigurationError, match=missing):
            reader.watermarks(missing, 0)
        with pytest.raises(ConfigurationError, match=topic):
            reader.watermarks(topic, 99)
        for asked in ([(missing, 0)], [(topic, 0), (missing, 0)]):
            with pytest.raises(ConfigurationError, match=missing):
                reader.offsets_at(asked, 1_700_000_000_000)
    with pytest.raises(ConfigurationError, match=missing):
        list(read_to_end(connection, missing, 0, client_id="test"))


def _error_of(reader: Reader) -> PenstockError:
    deadline = time.monotonic() + 30
    while True:
        assert time.monotonic() < deadline
        try:
            reader.poll(0.2)
        except PenstockError as exc:
            return exc


def test_create_is_idempotent_and_leaves_what_is_there_alone(admin: Admin, topic: str, topic_prefix: str) -> None:
    other = TopicSettings(f"{topic_prefix}-new", 3, config={"cleanup.policy": "compact"})
    assert admin.create([TopicSettings(topic, 7), other]) == [other.name]
    assert admin.create([TopicSettings(topic, 7), other]) == []
    there = admin.topics()
    assert (there[topic].partitions, there[other.name].partitions) == (2, 3)
    assert there[other.name].leaderless == ()
    assert admin.topic_config([other.name])[other.name]["cleanup.policy"] == "compact"


def test_two_that_create_one_topic_at_once_are_both_content(connection: Connection, topic_prefix: str) -> None:
    name = f"{topic_prefix}-race"
    failures: list[BaseException] = []

    def create() -> None:
        try:
            Admin(connection).create([TopicSettings(name, 1)])
        except PenstockError as exc:
            failures.append(exc)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


@pytest.mark.parametrize(
    "wrong",
    [
        TopicSettings("not a name", 1),
        TopicSettings("x", 1, config={"no.such.setting": "1"}),
        TopicSettings("x", 1, config={"cleanup.policy": "nonsense"}),
        TopicSettings("x", 1, replication=50),
        TopicSettings("x", 0),
    ],
    ids=["name", "setting", "value", "replication", "partitions"],
)
def test_an_impossible_topic_is_a_configuration_error(admin: Admin, topic_prefix: str, wrong: TopicSettings) -> None:
    name = wrong.name if " " in wrong.name else f"{topic_prefix}-x"
    with pytest.raises(ConfigurationError, match="create_topics"):
        admin.create([TopicSettings(name, wrong.partitions, wrong.replication, wrong.config)])


def test_delete_passes_over_what_is_not_there(admin: Admin, topic: str, topic_prefix: str) -> None:
    admin.delete([topic, f"{topic_prefix}-missing"])
    _until(lambda: topic not in admin.topics())
    admin.delete([topic])


def test_kafka_that_is_not_there_is_named() -> None:
    nowhere = Connection("localhost:1", client={"socket.timeout.ms": 500})
    calls: list[Callable[[Admin], object]] = [
        Admin.topics,
        lambda admin: admin.create([TopicSettings("t", 1)]),
        lambda admin: admin.end_offsets([("t", 0)]),
    ]
    for call in calls:
        with pytest.raises(ServerUnreachable, match=r"Kafka at localhost:1 does not answer: .*kafka up"):
            call(Admin(nowhere, budget_s=0.5))


def test_the_client_puts_each_key_where_partition_for_says(
    connection: Connection, admin: Admin, topic_prefix: str
) -> None:
    """Random keys of every length, the empty one included; a null key goes anywhere."""
    name = f"{topic_prefix}-keys"
    admin.create([TopicSettings(name, 7)])
    seeded = random.Random(42)
    keys: list[bytes | None] = [b"", *(seeded.randbytes(seeded.randrange(1, 60)) for _ in range(400))]
    producer = IdempotentProducer(connection, "test")
    producer.produce(name, keys, [b"v"] * len(keys))
    producer.flush(20)
    producer.close()
    with Reader(connection) as reader:
        reader.assign({(name, partition): BEGINNING for partition in range(7)})
        records = read(reader, len(keys))
    assert {record.key for record in records} == set(keys)
    assert [(r.key, r.partition) for r in records if r.partition != partition_for(r.key or b"", 7)] == []


def test_a_zombies_errors_name_the_fence(
    connection: Connection, topic: str, writer: KafkaTransactionalProducer, topic_prefix: str
) -> None:
    """After a newer producer has the id, whatever the older one calls next says so, and nothing of it is visible."""
    writer.begin_transaction()
    put(writer, topic, b"older")
    newer = writer_of(connection, topic_prefix)
    writer.produce(topic, [None], [b"zombie"], partitions=[0])
    with pytest.raises(Fenced):
        writer.flush(10)
    with pytest.raises(Fenced):
        writer.commit_transaction(5)
    newer.close()
    assert list(read_to_end(connection, topic, 0, client_id="test", stall_timeout_s=20)) == []


def test_a_zombie_that_only_produces_learns_of_the_fence_too(
    connection: Connection, topic: str, writer: KafkaTransactionalProducer, topic_prefix: str
) -> None:
    """The client says `_FATAL` there; taken for an abort, it would make the zombie initialise and fence the newer."""
    writer.begin_transaction()
    put(writer, topic, b"older")
    newer = writer_of(connection, topic_prefix)
    with pytest.raises(Fenced):
        _produce_for_ever(writer, topic)
    newer.close()


def _produce_for_ever(writer: KafkaTransactionalProducer, topic: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        writer.produce(topic, [None] * 100, [b"zombie"] * 100, partitions=[0] * 100)
