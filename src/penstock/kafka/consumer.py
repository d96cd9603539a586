"""A member of a consumer group, as the engine needs it: batches per partition, explicit positions, no surprises.

Rebalance callbacks run inside `poll`, on the calling thread, hence always between batches. They never raise: an
exception there would destroy the whole batch that `consume()` is about to return. What goes wrong in them is raised at
the end of that poll.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from penstock.errors import ConfigurationError, KafkaUnavailable, OperatorMustDecide, TransactionAborted
from penstock.kafka.client import LOGGER, Connection, Option, connected
from penstock.kafka.error_map import behind_fatal, from_call, kafka_error
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.polled import ClientFailed, Partition, Polled, sort_into
from penstock.kafka.reader import Reader, is_there
from penstock.kafka.static_instance import InstanceIsTaken, InstanceReplaced, StaticInstance
from penstock.protocols import GroupMetadata

DEFAULTS: dict[str, Option] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    "check.crcs": True,
    "allow.auto.create.topics": False,
    "fetch.queue.backoff.ms": 5,
    # What is fetched and not yet polled: the queue, and a response of each broker beyond it, before decompression.
    "queued.max.messages.kbytes": 16_384,
    "fetch.max.bytes": 16_777_216,
}


class RebalanceListener(Protocol):
    """Told about partitions that come and go, inside `poll`."""

    def on_assigned(self, partitions: list[Partition]) -> None:
        """These are ours now, paused; nothing is fetched until `start` is called for them."""
        ...

    def on_revoked(self, partitions: list[Partition]) -> None:
        """These go to another member when this returns: commit what is done, or discard it."""
        ...

    def on_lost(self, partitions: list[Partition]) -> None:
        """These belong to another member already: discard, commit nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed position: the next offset to read, and the metadata that stands beside it."""

    next_offset: int
    metadata: str


class GroupConsumer:
    """A group member that starts every partition paused, at a position that the engine chooses.

    Args:
        connection: the cluster.
        group: the pipeline's name.
        client_id: equal to the `transactional.id`, so that others can tell whose transaction is open.
        listener: told about partitions that come and go.
        settings: how it takes part in the group.
    """

    def __init__(
        self,
        connection: Connection,
        group: str,
        client_id: str,
        listener: RebalanceListener,
        settings: GroupSettings | None = None,
    ) -> None:
        self._settings = settings or GroupSettings()
        own: dict[str, Option] = {"group.id": group, **DEFAULTS, **self._settings.as_options()}
        self._connection = connection
        self._client_id = client_id
        self._group = group
        self._listener = listener
        self._options = {
            **connection.options(own, connection.consumer, client_id),
            "on_commit": self._on_commit,
        }
        self._consumer = connected(Consumer, self._options, client_id)
        self._topics: list[str] = []
        self._instance = StaticInstance(client_id, self._settings.session_timeout_ms / 1000)
        self._held: set[Partition] = set()
        self._trouble: BaseException | None = None
        self._is_being_replaced = False

    @property
    def is_eager(self) -> bool:
        """Whether `on_revoked` takes everything at each change, and `on_assigned` then gives all there is."""
        return self._settings.is_eager

    def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for these topics."""
        self._topics = list(topics)
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def withdraw(self) -> None:
        """Leave the group, in the next polls; `subscribe` joins anew."""
        self._topics = []
        try:
            self._consumer.unsubscribe()
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError._FATAL:
                raise from_call(exc, f"leaving group '{self._group}'") from exc
            # The client is of no use any more, and the next poll says why.

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """The next records, each partition's as batches in offset order; runs rebalance callbacks.

        One `consume` and nothing else: a `poll` for the first record with a `consume` for the rest behind it returns
        sooner, and is not shown to be safe where a rebalance comes between the two.

        Args:
            max_records: at most.
            timeout_s: how long to wait for so many.

        Raises:
            ConfigurationError: a topic does not exist, or there is no right to it or to the group.
            DuplicateIdentity: another live process is this static member.
            InstanceReplaced: another one may be; we have left, hold nothing, and `subscribe` joins anew.
            KafkaUnavailable: the client failed for good, and another one is joining the group in its place.
            Exception: what a rebalance callback ran into.
        """
        polled = Polled()
        try:
            messages = self._consumer.consume(max_records, timeout_s)
        except KafkaException as exc:
            raise from_call(exc, f"poll of group '{self._group}'") from exc
        try:
            sort_into(polled, messages, self._group)  # first of all: what is fatal is told once, and never again
        except InstanceIsTaken as exc:
            self._ask_again(exc)
        except ClientFailed as exc:
            self._begin_anew(exc)
        self._raise_trouble()
        return polled

    def _ask_again(self, taken: InstanceIsTaken) -> None:
        """Our name is somebody else's: stay out of the group, or wait until the dead one that has it is forgotten."""
        if not taken.is_replaced:
            self._instance.judge(taken)
            self._lose_all()
        self._replace()
        if taken.is_replaced:
            self._trouble = None  # the old one had some in letting go of what was taken from it already
            raise InstanceReplaced(
                f"group '{self._group}': another membership took over the name '{self._client_id}' (group.instance.id)"
            ) from taken
        self.subscribe(self._topics)

    def _begin_anew(self, failed: ClientFailed) -> None:
        """Join with another client, unless that cannot help: ours would stay out of the group without a word."""
        refusal = from_call(
            KafkaException(behind_fatal(failed.error) or failed.error), f"joining group '{self._group}'"
        )
        if isinstance(refusal, ConfigurationError):
            raise refusal from failed
        self._lose_all()
        self._replace()
        if self._topics:
            self.subscribe(self._topics)
        raise KafkaUnavailable(f"group '{self._group}': {failed}; joining it anew with another client") from failed

    def _lose_all(self) -> None:
        """Nobody else tells that it is gone: the client is silent, and what closing it revokes would be committed."""
        if self._held:
            self._tell(self._listener.on_lost, [TopicPartition(*place) for place in sorted(self._held)])

    def _replace(self) -> None:
        """Another client, for ours is of no use behind a fatal error; the listener hears nothing of how it ends."""
        self._is_being_replaced = True
        self._consumer.close()
        self._is_being_replaced = False
        self._held.clear()
        self._consumer = connected(Consumer, self._options, self._client_id)

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Fetch these partitions from these offsets on."""
        stuck: dict[Partition, int] = {}
        for (topic, partition), offset in positions.items():
            try:
                self._consumer.seek(TopicPartition(topic, partition, offset))
            except KafkaException as exc:
                error = kafka_error(exc)
                if error is None or error.code() != KafkaError._STATE:
                    raise from_call(exc, f"seek of {topic}[{partition}] to {offset}") from exc
                stuck[topic, partition] = offset
        if stuck:
            self._assign_anew(stuck)
        self.resume(positions)

    def _assign_anew(self, positions: Mapping[Partition, int]) -> None:
        """Get partitions going whose position was lost: the client does not seek them any more.

        They are not sought behind that, since the new position may be lost by then as well.
        """
        try:
            if self._settings.is_eager:
                # All of them, each where it was: those that this is wrong for are noticed by whoever follows offsets.
                now = {(tp.topic, tp.partition): tp for tp in self._consumer.position(self._consumer.assignment())}
                for place, tp in now.items():
                    tp.offset = positions.get(place, max(tp.offset, 0))
                self._consumer.assign(list(now.values()))
            else:
                self._consumer.incremental_unassign([TopicPartition(*place) for place in positions])
                self._consumer.incremental_assign([TopicPartition(*place, o) for place, o in positions.items()])
        except KafkaException as exc:
            raise from_call(exc, f"assigning anew {len(positions)} partitions of group '{self._group}'") from exc

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch no more of these until `resume`; positions stay."""
        self._consumer.pause([TopicPartition(t, p) for t, p in partitions])

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch these again."""
        self._consumer.resume([TopicPartition(t, p) for t, p in partitions])

    def first_offset_from(self, partition: Partition, next_offset: int, timeout_s: float = 10.0) -> int | None:
        """The first committed record there or behind; None = the end comes first. Asked by another client.

        Raises:
            KafkaUnavailable: no answer in time.
            TransactionAborted: the position was lost meanwhile; the next poll after a `start` says so.
        """
        with Reader(self._connection, client_id=f"{self._client_id}.proof") as reader:
            reader.assign({partition: next_offset})
            deadline = time.monotonic() + timeout_s
            while time.monotonic() < deadline:
                try:
                    records = reader.poll(0.1)
                except OperatorMustDecide as exc:
                    raise TransactionAborted(str(exc)) from exc
                for record in records:
                    if record.offset is not None:
                        return record.offset
                if partition in reader.at_end:
                    return None
        raise KafkaUnavailable(f"{partition[0]}[{partition[1]}]: nothing from {next_offset} on in {timeout_s:.0f} s")

    def committed(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, Committed]:
        """The group's committed positions, stable ones: a pending transaction is waited out (KIP-447).

        Partitions without a committed position are left out.

        Raises:
            KafkaUnavailable: a transaction is still pending, or the coordinator moves; ask again.
        """
        asked = [TopicPartition(t, p) for t, p in partitions]
        try:
            found = self._consumer.committed(asked, timeout=timeout_s)
        except KafkaException as exc:
            raise from_call(exc, f"committed offsets of group '{self._group}'") from exc
        for tp in found:
            if tp.error is not None:
                raise KafkaUnavailable(f"committed offset of {tp.topic}[{tp.partition}]: {tp.error.name()}")
        return {(tp.topic, tp.partition): Committed(tp.offset, tp.metadata or "") for tp in found if tp.offset >= 0}

    def commit(self, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        """Ask for {partition: (next offset, metadata)} to be committed without a transaction; no answer is waited for.

        The client waits for it before it gives a partition away or leaves the group. A commit that is refused because
        the group has moved on is only told; one that never can succeed is raised by a later poll.

        Raises:
            TransactionAborted: the client does not even send it.
        """
        asked = [TopicPartition(t, p, offset, metadata=text) for (t, p), (offset, text) in offsets.items()]
        try:
            # Waiting would be without an end while a coordinator hangs, and no signal could interrupt it.
            self._consumer.commit(offsets=asked, asynchronous=True)
        except KafkaException as exc:
            raise from_call(exc, f"commit of group '{self._group}'") from exc

    def end_offsets(self, partition: Partition, timeout_s: float = 10.0) -> tuple[int, int]:
        """(first offset, last stable offset) as the broker says now."""
        try:
            marks: Any = self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=timeout_s)
        except KafkaException as exc:
            doing = f"watermarks of {partition[0]}[{partition[1]}]"
            if is_there(self._consumer, *partition):
                raise KafkaUnavailable(f"{doing}: no leader is known") from exc
            raise from_call(exc, doing) from exc
        if marks is None:
            raise KafkaUnavailable(f"watermarks of {partition[0]}[{partition[1]}]: no answer in {timeout_s:.0f} s")
        return marks[0], marks[1]

    def group_metadata(self) -> GroupMetadata:
        """Our membership as of now; to be read right before it is used."""
        opaque = self._consumer.consumer_group_metadata()
        generation, member_id = _membership(bytes(opaque))
        return GroupMetadata(opaque, generation, member_id)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    # ------------------------------------------------------------ callbacks

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._instance.has_joined()
        # At an explicit offset: with auto.offset.reset=error an assignment without one never fetches and cannot be
        # sought. Not at the end, which the client would have to ask for: the answer may come behind our seek and
        # move the position past records (seen). Paused at once; should offset 0 be asked for nevertheless, and the log
        # begin later, that is no position of ours, and `Intake.expects` says so.
        at = [TopicPartition(tp.topic, tp.partition, 0) for tp in partitions]
        try:
            if self._settings.is_eager:
                consumer.assign(at)
            else:
                consumer.incremental_assign(at)
            if at:
                consumer.pause(at)
        except BaseException as exc:  # noqa: BLE001 - raised by the next poll; see the module's text
            self._note(exc)
            return
        self._held.update((tp.topic, tp.partition) for tp in partitions)
        self._tell(self._listener.on_assigned, partitions)

    def _on_revoke(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._tell(self._listener.on_revoked, partitions)
        self._unassign(consumer, partitions)

    def _on_lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._tell(self._listener.on_lost, partitions)
        self._unassign(consumer, partitions)

    def _unassign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._held.difference_update((tp.topic, tp.partition) for tp in partitions)
        try:
            if self._settings.is_eager:
                consumer.unassign()
            else:
                consumer.incremental_unassign(partitions)
        except BaseException as exc:  # noqa: BLE001 - as above
            self._note(exc)

    def _note(self, exc: BaseException) -> None:
        error = kafka_error(exc)
        if error is None or error.code() != KafkaError._FATAL:  # which the poll tells, with its reason
            self._trouble = self._trouble or exc

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        for each in (error, *(tp.error for tp in partitions)):
            if each is not None:
                family = from_call(KafkaException(each), f"commit of group '{self._group}'")
                LOGGER.info("%s; what was done since the last one may be done again", family)
                if isinstance(family, ConfigurationError):
                    self._trouble = self._trouble or family
                return

    def _tell(self, listener: Callable[[list[Partition]], None], partitions: list[TopicPartition]) -> None:
        if self._is_being_replaced:
            return  # it knows that all is gone; a listener that began a transaction now would fence a twin
        try:
            listener([(tp.topic, tp.partition) for tp in partitions])
        except BaseException as exc:  # noqa: BLE001 - as above
            self._trouble = self._trouble or exc

    def _raise_trouble(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble


def _membership(opaque: bytes) -> tuple[int, str]:
    """(generation, member id) out of librdkafka's serialised form: magic, int32 generation, texts ended by NUL.

    Not an API: an unknown magic gives (1, "?"), which passes, since refusing to work would be worse than the check that
    is lost.
    """
    magic = b"CGMDv2:"
    if not opaque.startswith(magic):
        return 1, "?"
    generation = int.from_bytes(opaque[7:11], "little", signed=True)
    texts = opaque[11:].split(b"\0")
    return generation, texts[1].decode(errors="replace") if len(texts) > 1 else ""
