"""What goes wrong, and what is to be heard of it.

Each fault is done to works that are well, waited for until all its alerts fire, and mended; it says which alerts these
are, by name and by what tells them apart. Whatever else fires meanwhile is a finding.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from penstock.deadletter.envelope import Author, Failure, headers_of
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.record_deletion import RecordDeleter
from penstock.testing.proxy import Api
from penstock.testing.proxy.frame import ask
from tests.broker.harness.victims import until
from tests.servers.live.pipelines import REFUSED
from tests.servers.live.works import LEDGER, READINGS_PARTITIONS, SUMS, Works
from tests.servers.plant import WORKERS

AUDIT: Final = "audit"
"""A group that reads the ledger, when it does."""
_MANY: Final = 2_000
"""Requests: more than come while the exporter is cut off."""

Alerts = frozenset[tuple[str, str]]
"""(alert, whose): of a pipeline or its group, of a topic, of a cluster, of a worker."""
Meanwhile = Callable[[], None]
"""Done again and again while the fault lasts."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One.

    Attributes:
        name: in the table.
        what: likewise, a sentence.
        alerts: (alert, whose) of all that are to fire.
        done: does it; what comes behind its `yield` mends it.
        may_fire: alerts that may fire as well, or may not.
    """

    name: str
    what: str
    alerts: Alerts
    done: Callable[[Works], AbstractContextManager[Meanwhile]]
    may_fire: Alerts = frozenset()


def of(whose: str, *alerts: str) -> Alerts:
    """These alerts, all of one."""
    return frozenset((alert, whose) for alert in alerts)


# ------------------------------------------------------------ one after the other


@contextmanager
def poison(works: Works) -> Generator[Meanwhile]:
    """Records that are no numbers."""
    yield works.numbers.poison


@contextmanager
def unexplained(works: Works) -> Generator[Meanwhile]:
    """A record whose schema the registry does not have."""
    works.readings.add(works.reading.unexplained(20))
    yield nothing


@contextmanager
def forgotten(works: Works) -> Generator[Meanwhile]:
    """A record that failed two days ago, and that nobody has dealt with."""
    now = datetime.now(UTC)
    failure = Failure(
        stage="process",
        error=ValueError(),
        author=Author("sums", "0"),
        source=SUMS,
        position="0",
        failed_ms=int((now - timedelta(days=2)).timestamp() * 1000),
        partition=0,
        operator="parse",
    )
    letters = f"dlq.sums.{SUMS}"
    producer = Producer({"bootstrap.servers": works.bootstrap_servers})
    producer.produce(letters, b"no number", b"key-0", partition=0, headers=list(headers_of(failure, ())))
    assert producer.flush(30) == 0
    yield nothing
    until_then = (now - timedelta(days=1)).isoformat(timespec="minutes")
    drop = [
        sys.executable,
        "-P",
        "-m",
        "penstock",
        "dlq",
        "drop",
        letters,
        "--until",
        until_then,
        "--reason",
        "planted",
    ]
    done = subprocess.run(drop, cwd=works.sums.root, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@contextmanager
def fence(works: Works) -> Generator[Meanwhile]:
    """Somebody else takes the identity of each worker once."""
    for number, worker in enumerate(sorted(works.sums.workers()), 1):
        deadline = time.monotonic() + 30
        while fenced(works) < number and time.monotonic() < deadline:
            take_identity(works, worker)
            look_again = time.monotonic() + 3
            while fenced(works) < number and time.monotonic() < look_again:
                time.sleep(0.1)
    yield nothing


def fenced(works: Works) -> float:
    """Transactions of the workers of `sums` that a fence has ended."""
    return works.prometheus.total('sum(penstock_transactions_total{pipeline="sums",outcome="fenced"})')


def take_identity(works: Works, worker: str) -> None:
    """One request of a second producer of this name.

    A client would ask again while the worker's transaction is ended, and the two would fence each other three times.
    """
    name = worker.encode()
    asked = (
        struct.pack(">hhih4sh", Api.INIT_PRODUCER_ID, 1, 1, 4, b"twin", len(name)) + name + struct.pack(">i", 60_000)
    )
    host, _, port = works.bootstrap_servers.rpartition(":")
    ask((host, int(port)), asked)


@contextmanager
def hung_transaction(works: Works) -> Generator[Meanwhile]:
    """A transaction that nobody ends, in a topic into which more is written."""
    producer = Producer({"bootstrap.servers": works.bootstrap_servers, "transactional.id": "hung"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(SUMS, b"1", b"key-0", partition=0)
    assert producer.flush(30) == 0
    try:
        yield nothing
    finally:
        producer.abort_transaction(30)


@contextmanager
def exporter_cut_off(works: Works) -> Generator[Meanwhile]:
    """The cluster does not answer the lag exporter."""
    for _ in range(_MANY):
        works.proxy.drop(Api.METADATA)
    try:
        yield nothing
    finally:
        works.proxy.forget()


@contextmanager
def kill(works: Works) -> Generator[Meanwhile]:
    """A worker dies of SIGKILL, and its checkpoints are lost."""
    worker = min(works.sums.workers())
    for each in works.sums.checkpoints():
        each.unlink()
    works.sums.kill(worker)
    yield nothing


@contextmanager
def disk(works: Works) -> Generator[Meanwhile]:
    """Checkpoints cannot be written."""
    files = works.totals.checkpoints()
    for file in files:
        file.rename(file.with_name("kept"))
        file.mkdir()
    try:
        yield nothing
    finally:
        for file in files:
            file.rmdir()
            file.with_name("kept").rename(file)


@contextmanager
def retention_loss(works: Works) -> Generator[Meanwhile]:
    """A group that stands still while the records that it has not read are deleted."""
    at, place = works.bootstrap_servers, (LEDGER, 0)
    admin = Admin(Connection(at))
    end = admin.end_offsets([place])[place]
    group = Consumer({"bootstrap.servers": at, "group.id": AUDIT})
    group.commit(offsets=[TopicPartition(*place, end)], asynchronous=False)
    group.close()
    until(lambda: works.prometheus.query(f'kafka_group_lost_offsets_total{{group="{AUDIT}"}}') != [])
    seen = works.prometheus.total(f'kafka_group_committed_offset{{group="{AUDIT}"}}')
    assert seen == end, f"the exporter tells {seen}, committed is {end}"
    deleter = RecordDeleter(Connection(at), "retention")
    try:
        until(lambda: admin.end_offsets([place])[place] >= end + 20)  # what is not there yet cannot be deleted
        deletion = deleter.delete({place: end + 20})
        until(lambda: deletion.outcome() is not None)
        assert deletion.outcome() == {place: None}, deletion.outcome()
        yield nothing
    finally:
        asks: Any = AdminClient({"bootstrap.servers": at})
        for future in asks.delete_consumer_groups([AUDIT]).values():
            future.result(30)


# ------------------------------------------------------------ what makes users wait


@contextmanager
def stalled(works: Works) -> Generator[Meanwhile]:
    """User code hangs in both workers."""
    flag = works.sums.root / "hang"
    flag.touch()
    try:
        yield nothing
    finally:
        flag.unlink()


@contextmanager
def refused(works: Works) -> Generator[Meanwhile]:
    """A record fails, and the policy is to stop."""
    flag = works.totals.root / "refuse"
    flag.touch()
    works.readings.add(works.reading.value(REFUSED))
    try:
        yield nothing
    finally:
        stopped = works.prometheus.query('penstock_tasks{pipeline="totals",status="stopped"} > 0')
        flag.unlink()
        for worker in {sample.labels["worker"] for sample in stopped}:
            works.totals.kill(worker)


@contextmanager
def registry_down(works: Works) -> Generator[Meanwhile]:
    """Records come in a schema that no worker has seen, and the registry is away."""
    works.reading.learn()
    works.registry.shutdown()
    for partition in range(READINGS_PARTITIONS):
        works.readings.add(works.reading.newer(20), partition)
    try:
        yield nothing
    finally:
        works.registry.start()


@contextmanager
def gone(works: Works) -> Generator[Meanwhile]:
    """The supervisor of a pipeline dies, and all of its workers with it; nobody starts them again."""
    works.totals.die()
    try:
        yield nothing
    finally:
        works.totals.start()


def nothing() -> None:
    """While it lasts, nothing more has to be done."""


BEHIND: Final = ("FreshnessBurnFast", "LagRunaway", "PartitionStuck")
"""Of a pipeline that does not get on."""
FAULTS: Final = (
    Fault(
        "stalled consumer",
        "user code hangs in both workers",
        of("sums", *BEHIND, "FreshnessBurnSlow", "PollLoopSlow"),
        stalled,
    ),
    Fault(
        "registry down",
        "records in a schema that no worker knows, and the registry is away",
        # Each attempt discards the transaction, and nothing else is done meanwhile.
        of("totals", *BEHIND, "FreshnessBurnSlow", "AbortRatio", "CheckpointStale"),
        registry_down,
    ),
    # FreshnessBurnSlow of the fault before still fires.
    Fault(
        "poison that stops",
        "a record fails whose policy is to stop; `PartitionsUncovered` may follow when its worker is killed to mend it",
        of("totals", *BEHIND, "TaskStopped"),
        refused,
        of("totals", "PartitionsUncovered"),
    ),
    Fault(
        "all workers gone",
        "the supervisor dies of SIGKILL, and its workers with it; `WastedWork` may follow while they catch up",
        of("totals", *BEHIND, "PipelineAbsent") | {("TargetDown", f"totals.live.{n}") for n in range(WORKERS)},
        gone,
        # The second worker joins while the first catches up, whose work is then done again, if a scrape has seen it.
        of("totals", "WastedWork", "AbortRatio"),
    ),
    Fault(
        "unknown schema",
        "a record in a schema that the registry does not have",
        of("totals", "SchemaRejected"),
        unexplained,
    ),
    Fault("poison", "one record in fifteen is no number", of("sums", "DeadLetterRatio"), poison),
    Fault(
        "forgotten dead letter",
        "a record that failed two days ago is neither redriven nor dropped",
        of("sums", "DeadLetterOld"),
        forgotten,
    ),
    Fault(
        "hung transaction",
        "nobody ends it, and more is written behind it",
        of(SUMS, "ReadCommittedBlocked"),
        hung_transaction,
    ),
    Fault("fence", "somebody else takes each worker's identity", of("sums", "FencingLoop"), fence),
    Fault(
        "exporter cut off",
        "the cluster does not answer the lag exporter",
        of("kafka", "ExporterBlind"),
        exporter_cut_off,
    ),
    Fault(
        "kill",
        "a worker dies of SIGKILL, its checkpoints are lost; `TargetDown` may follow if it is not back within 5 s",
        of("sums", "PartitionsUncovered"),
        kill,
        frozenset(("TargetDown", f"sums.live.{n}") for n in range(WORKERS)),
    ),
    Fault("full disk", "checkpoints cannot be written", of("totals", "CheckpointStale"), disk),
    Fault(
        "retention loss",
        "records are deleted that a group has not read",
        of(AUDIT, "DataLost", "LagRunaway", "RetentionHeadroomLow"),
        retention_loss,
    ),
)
