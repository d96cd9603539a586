"""The `_schemas` topic and what it adds up to: one thread reads it, whoever leads writes to it.

A write takes five steps: 1. one at a time, and only while leading; 2. read to the end of the log; 3. decide, on what
was read; 4. append; 5. read back to that offset, and answer only if the record counts (`ledger.py`). A write whose
outcome is unknown makes the process claim the log anew under another name, so that a late arrival does not count.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager

from penstock.embedded.registry import refusal
from penstock.embedded.registry.contents import Contents
from penstock.embedded.registry.layout import NOOP, WRITER_HEADER, Claim, Key, NotOurs
from penstock.embedded.registry.ledger import Ledger
from penstock.errors import OutcomeUnknown, PenstockError, ServerUnreachable
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.log import Appender, RecordTooLarge
from penstock.kafka.reader import BEGINNING, RawRecord, Reader

LOGGER = logging.getLogger("penstock.embedded.registry")

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""A schema of 1 MiB, escaped once more as JSON text, with room to spare."""

_POLL_S = 0.2
_PARTITION = 0


class Store:
    """The log and its contents.

    Args:
        connection: the cluster.
        topic: the log; it must exist, with one partition.
        timeout_s: how long one append, and reading back to it, may each take.
        on_end: called once, from any thread, with the reason, when this process can no longer write.
    """

    def __init__(
        self, connection: Connection, topic: str, *, timeout_s: float, on_end: Callable[[PenstockError | None], None]
    ) -> None:
        self._connection, self._topic, self._timeout_s, self._on_end = connection, topic, timeout_s, on_end
        self._ledger = Ledger()
        self._next_offset = 0
        self._changed = threading.Condition(threading.RLock())
        self._writing = threading.Lock()
        self._ended = False
        self._writer = ""
        self._appender: Appender | None = None
        self._in_doubt = False
        self._admin = Admin(connection, budget_s=timeout_s)
        self._reader = Reader(connection, isolation="read_uncommitted", client_id="penstock-registry-reader")
        self._threads = [
            threading.Thread(target=self._read, name="schemas-reader", daemon=True),
            threading.Thread(target=self._settle_disputes, name="schemas-settler", daemon=True),
        ]

    def take_over(self) -> None:
        """Read the whole log, then claim it. Returns once writes are possible.

        Raises:
            ServerUnreachable: Kafka did not answer.
        """
        self._reader.assign({(self._topic, _PARTITION): BEGINNING})
        for thread in self._threads:
            thread.start()
        with self._writing:
            try:
                self._read_to_end(max(60.0, self._timeout_s))  # all of it, the first time
                self._claim()
            except refusal.Refusal as exc:
                raise ServerUnreachable(f"{self._topic}: {exc}") from exc

    @contextmanager
    def reading(self) -> Generator[Contents]:
        """The contents, still while the block runs: keep it short."""
        with self._changed:
            yield self._ledger.contents

    @contextmanager
    def writing(self) -> Generator[Contents]:
        """The contents, up to the end of the log, for a decision and the writes that follow from it.

        Raises:
            Refusal: this process leads no more, or Kafka does not answer.
        """
        with self._writing:
            self._must_lead()
            self._read_to_end(self._timeout_s)
            if self._in_doubt:
                self._claim()
            yield self._ledger.contents

    def put(self, key: Key, value: bytes | None) -> None:
        """Append a record and return once it counts. Only inside `writing`.

        Raises:
            Refusal: it does not count, or nobody knows; nothing may be acknowledged.
        """
        self._append(key, value)
        with self._changed:
            if self._ledger.lineage.holder != self._writer:
                self._end(None)
        self._must_lead()

    def keep_highest_id(self) -> None:
        """Note the highest id in the log apart from the schemas, before the record that carries it is deleted."""
        claim = Claim(self._writer, self._writer, self._ledger.contents.highest_id)
        self.put(NOOP, claim.encode())

    def lose(self) -> None:
        """Give up writing: the group has given the lead to somebody else."""
        self._end(None)

    def close(self) -> None:
        """Stop the threads and let go of the connections."""
        self._end(None, tell=False)
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join()
        self._reader.close()
        if self._appender:
            self._appender.close()

    # ------------------------------------------------------------ writing

    def _must_lead(self) -> None:
        if self._ended:
            raise refusal.not_leader()

    def _claim(self) -> None:
        self._writer = uuid.uuid4().hex
        self._in_doubt = False
        with self._changed:
            claim = Claim(self._writer, self._ledger.lineage.holder, self._ledger.contents.highest_id)
        if self._appender:
            self._appender.close()
        self._appender = Appender(
            self._connection,
            self._topic,
            _PARTITION,
            client_id="penstock-registry-writer",
            timeout_s=self._timeout_s,
            max_record_bytes=MAX_RECORD_BYTES,
        )
        self.put(NOOP, claim.encode())
        LOGGER.info("writing %s as %s", self._topic, self._writer)

    def _append(self, key: Key, value: bytes | None) -> None:
        self._must_lead()
        if self._appender is None:
            raise refusal.not_leader()
        try:
            offset = self._appender.append(key.encode(), value, ((WRITER_HEADER, self._writer.encode()),))
        except RecordTooLarge as exc:
            raise refusal.too_large(str(exc)) from exc
        except OutcomeUnknown as exc:
            self._in_doubt = True
            raise refusal.timed_out(str(exc)) from exc
        except PenstockError as exc:
            self._in_doubt = True
            raise refusal.store_failed(str(exc)) from exc
        self._wait_for(offset + 1, self._timeout_s)

    def _read_to_end(self, timeout_s: float) -> None:
        log = (self._topic, _PARTITION)
        try:
            # A client of its own: the reader's answers nothing else while it waits for records.
            end = self._admin.end_offsets([log])[log]
        except PenstockError as exc:
            raise refusal.timed_out(str(exc)) from exc
        self._wait_for(end, timeout_s)

    def _wait_for(self, next_offset: int, timeout_s: float) -> None:
        with self._changed:
            reached = self._changed.wait_for(lambda: self._ended or self._next_offset >= next_offset, timeout_s)
        self._must_lead()
        if not reached:
            self._in_doubt = True
            raise refusal.timed_out(f"{self._topic}: offset {next_offset} not read within {timeout_s:.0f} s")

    def _settle_disputes(self) -> None:
        """Say again what holds where a record that does not count has overwritten it.

        Our readers pass over such records; compaction and other registries do not.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or (self._ledger.disputed and self._writer))
                if self._ended:
                    return
            try:
                with self.writing() as contents:
                    for key in list(self._ledger.disputed):
                        self._settle(key, contents)
            except refusal.Refusal as exc:
                LOGGER.warning("settling records of a former writer: %s", exc)
                time.sleep(_POLL_S)  # Kafka is away; the next attempt waits for it

    def _settle(self, key: Key, contents: Contents) -> None:
        LOGGER.warning(
            "%s: a former writer wrote %s after it was superseded; writing again what holds", self._topic, key
        )
        if key == NOOP:
            self.keep_highest_id()
        for each, value in contents.truth(key):
            self.put(each, value)

    # ------------------------------------------------------------ reading

    def _read(self) -> None:
        try:
            while not self._ended:
                records = self._reader.poll(_POLL_S, max_records=1)  # more would be waited for
                with self._changed:
                    for record in records:
                        self._take(record)
                    position = self._reader.position(self._topic, _PARTITION)
                    self._next_offset = max(self._next_offset, position or 0)
                    self._changed.notify_all()
        except PenstockError as exc:  # the log was cut off, or our right to read it is gone
            self._end(exc)

    def _take(self, record: RawRecord) -> None:
        writer = next((v.decode("ascii", "replace") for k, v in record.headers if k == WRITER_HEADER and v), None)
        former = self._ledger.lineage.holder
        try:
            self._ledger.take(record.key, record.value, writer)
        except NotOurs as exc:
            LOGGER.warning("%s[0]@%s passed over: %s", self._topic, record.offset, exc)
            return
        if former == self._writer != self._ledger.lineage.holder:
            self._end(None)

    def _end(self, reason: PenstockError | None, *, tell: bool = True) -> None:
        with self._changed:
            first = not self._ended
            self._ended = True
            self._changed.notify_all()
        if first and tell:
            self._on_end(reason)
