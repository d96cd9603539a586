"""Whether a checkpoint on disk may be the start of a restore: only if everything fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from penstock.state import digest as digests
from penstock.state.checkpoint_file import FORMAT, Checkpoint, CheckpointFile

Reason = Literal["absent", "unreadable", "damaged", "format", "topology", "topics", "age", "digest"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """There is no checkpoint to begin with; the file, if there was one, is wiped.

    Attributes:
        reason: a closed set of words; `absent` is the ordinary first start.
        detail: a sentence for the log.
    """

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What a checkpoint has to fit.

    Attributes:
        topology: fingerprint of the topology that runs.
        topic_ids: {topic: Kafka's id now}, inputs and changelog.
        max_age_ms: the changelog's `delete.retention.ms`: a tombstone may be gone from the changelog after that, and an
            older checkpoint would bring its key back.
        now_ms: milliseconds since 1970 UTC.
    """

    topology: str
    topic_ids: Mapping[str, str]
    max_age_ms: int
    now_ms: int


def load_checkpoint(file: CheckpointFile, expected: Expected) -> Checkpoint | Rejected:
    """The checkpoint, its digest computed anew from its content and compared; or why there is none, and it is wiped."""
    checkpoint = _read(file)
    problem = checkpoint if isinstance(checkpoint, Rejected) else _problem(checkpoint, expected)
    if problem is None:
        return checkpoint
    if problem.reason != "absent":
        file.wipe()
    return problem


def _read(file: CheckpointFile) -> Checkpoint | Rejected:
    try:
        checkpoint = file.load()
    except FileNotFoundError:
        return Rejected("absent", "no checkpoint was written here yet")
    except OSError as err:
        return Rejected("unreadable", f"the checkpoint cannot be read: {err.strerror}")
    except msgspec.DecodeError:
        return Rejected("format", "the checkpoint was written by another release")
    return checkpoint or Rejected("damaged", "the file holds no complete checkpoint")


def _problem(checkpoint: Checkpoint, expected: Expected) -> Rejected | None:
    header = checkpoint.header
    age_ms = expected.now_ms - header.written_ms
    if header.format != FORMAT:
        return Rejected("format", f"checkpoint format {header.format}, this release reads {FORMAT}")
    if header.commit.topology != expected.topology:
        return Rejected("topology", "the checkpoint was written by another topology")
    if header.topic_ids != expected.topic_ids:
        return Rejected("topics", "a topic was made anew, or the inputs are others, since the checkpoint was written")
    if not 0 <= age_ms <= expected.max_age_ms:
        return Rejected(
            "age", f"the checkpoint is {age_ms / 1000:,.0f} s old, {expected.max_age_ms / 1000:,.0f} s count"
        )
    if digests.to_bytes(digests.digest_of(checkpoint.entries)) != header.commit.digest:
        return Rejected("digest", "the checkpoint's content does not give its digest")
    return None
