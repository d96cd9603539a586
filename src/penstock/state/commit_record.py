"""The commit record: last in a task's part of every transaction, under the empty store name.

It says up to where the inputs are dealt with in the state that stands before it in the changelog, and carries the
digest of that state. At a restore it is compared with the group's committed offsets.
"""

from __future__ import annotations

from typing import Final

import msgspec

from penstock.errors import OperatorMustDecide

FORMAT: Final = 1
DIGEST_BYTES: Final = 16


class CommitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One commit of one task, as a MessagePack map by field name; fields that a reader does not know are ignored.

    Attributes:
        format: of this record; a newer one is refused.
        next_offsets: {source topic: next offset to read}, in the partition that is the task's.
        sequence: transactions of this task so far, this one included; continued across owners.
        writer: who wrote it, as a `transactional.id`.
        owner_epoch: how many claims of this task there have been.
        stream_time_ms: the task's event time, milliseconds since 1970 UTC; None before the first record.
        digest: of the whole state after this transaction, without this record (`digest.py`), 16 bytes.
        topology: fingerprint of the topology that wrote it.
        streams_begun: whether a record of a stream was ever processed; until then tables are read first.
        clocks_ms: what stream time is the earliest of: {input topic: the stream times of the tasks that write it, by
            number; None = not heard}. Left out where the task reads no repartition topic.
    """

    format: int = FORMAT
    next_offsets: dict[str, int]
    sequence: int
    writer: str
    owner_epoch: int
    stream_time_ms: int | None
    digest: bytes
    topology: str
    streams_begun: bool = True
    clocks_ms: dict[str, tuple[int | None, ...]] | msgspec.UnsetType = msgspec.UNSET


class _Version(msgspec.Struct):
    format: int


_version = msgspec.msgpack.Decoder(_Version)
_record = msgspec.msgpack.Decoder(CommitRecord)


def encode(record: CommitRecord) -> bytes:
    """The record's bytes."""
    return msgspec.msgpack.encode(record)


def decode(data: bytes, where: str) -> CommitRecord:
    """The record in these bytes, read at `where` (topic, partition, offset).

    Raises:
        OperatorMustDecide: written by a newer release, or no commit record at all; the message says which.
    """
    try:
        version = _version.decode(data).format
        if version > FORMAT:
            raise OperatorMustDecide(
                f"{where}: commit record of format {version}, this release reads up to {FORMAT}; "
                "run the release that wrote it, or a later one"
            )
        record = _record.decode(data)
    except msgspec.DecodeError as err:
        raise OperatorMustDecide(
            f"{where}: no commit record; find out what else writes to this topic and stop it"
        ) from err
    if len(record.digest) != DIGEST_BYTES:
        raise OperatorMustDecide(f"{where}: commit record with a digest of {len(record.digest)} bytes instead of 16")
    return record
