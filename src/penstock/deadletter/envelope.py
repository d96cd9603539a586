"""The dead letter's envelope: headers beside the original bytes.

`__dlq.errors.*` is Kafka's own set (KIP-1191); `penstock.dlq.*` says more. All are UTF-8 text. Nothing here holds
payload values: an exception of foreign code may quote them, so only its class and the place it was raised at are told.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from penstock.deadletter.dead_letter import REDRIVE_COUNT, REDRIVE_ID
from penstock.errors import BadRecord, PenstockError
from penstock.record import Headers

Stage = Literal["convert", "encode", "sink", "decode", "validate", "process", "state"]

_STACK = "penstock.dlq.stack"
MAX_HEADER_BYTES = {
    _STACK: 4_096,
    "__dlq.errors.message": 1_024,
    "__dlq.errors.offset": 1_024,
    "penstock.dlq.position": 1_024,
}
MAX_OTHER_HEADER_BYTES = 256
HEADER_ROOM_BYTES = 12_288
"""What our headers of one dead letter take at most, names included."""


class Author(NamedTuple):
    """Who writes dead letters.

    Attributes:
        pipeline: the pipeline or producer.
        version: of penstock.
        group: the consumer group; empty for a producer.
        worker: our `transactional.id`, which tells the workers of a group apart; empty for a producer.
    """

    pipeline: str
    version: str
    group: str = ""
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one record or source row went no further.

    Attributes:
        stage: where on its way.
        error: what was raised.
        author: who writes the dead letter.
        source: where it stands at its source: a topic's name, or the producer's for its rows.
        position: its place there: an offset, or the producer's cursor as text.
        failed_ms: when, milliseconds since 1970 UTC.
        partition: the source partition; None for a producer's row.
        origin: behind a repartition topic, where the first input stands that the record was made of.
        event_time: likewise, its event time, where that is not its timestamp.
        operator: the step that failed; empty where the record came to none.
        attempts: how often it was tried, as far as is known.
        first_failed_ms: when it failed first; None = when it failed.
        key_schema_id: in front of the original's key; None = there is none.
        value_schema_id: likewise of its value.
    """

    stage: Stage
    error: BaseException
    author: Author
    source: str
    position: str
    failed_ms: int
    partition: int | None = None
    origin: bytes | None = None
    event_time: bytes | None = None
    operator: str = ""
    attempts: int | None = None
    first_failed_ms: int | None = None
    key_schema_id: int | None = None
    value_schema_id: int | None = None


def message_of(error: BaseException) -> str:
    """What may be told about an error: our own messages whole, of others the class and the place."""
    if isinstance(error, PenstockError):
        return str(error)
    return f"{type(error).__qualname__} at {place_of(error)}"


def place_of(error: BaseException) -> str:
    """`file:line in function` of the innermost frame in the user's code, or else of all; by the file's name only.

    What a library raises says more by where it was called than by where it noticed.
    """
    frames = _frames(error)
    if not frames:
        return "an unknown place"
    users = [frame for frame in frames if not frame[0].startswith(_not_the_users())]
    return _told((users or frames)[-1])


def _frames(error: BaseException) -> list[tuple[str, int, str]]:
    """File, line and function of each frame, the outermost first.

    `traceback.extract_tb` says the same, and on the way asks the disk for the state of every source file, for the sake
    of lines that nobody wants here.
    """
    walked = traceback.walk_tb(error.__traceback__)
    return [(frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in walked]


@cache
def _not_the_users() -> tuple[str, ...]:
    """What the names of files begin with that are Python's, of an installed package, or ours; or of no file at all."""
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return ("<", *(f"{folder}{os.sep}" for folder in (*folders, str(Path(__file__).parents[1]))))


def _told(frame: tuple[str, int, str]) -> str:
    file, line, function = frame
    return f"{file.rsplit('/', 1)[-1]}:{line} in {function}"


def fingerprint_of(stage: Stage, error: BaseException) -> str:
    """Equal for failures with the same stage, class and place: what a person groups by. 16 hexadecimal digits."""
    text = f"{stage}\0{type(error).__qualname__}\0{_reason(error)}\0{place_of(error)}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def headers_of(failure: Failure, original: Headers = ()) -> Headers:
    """The original's headers first, ours behind; ours from an earlier hop are replaced, never piled up.

    What a redrive has put on the record stays, so that one which fails each time is noticed.
    """
    error = failure.error
    kept = tuple((n, v) for n, v in original if not n.startswith(("penstock.", "__dlq.errors.")))
    redriven = {n: (v or b"").decode(errors="replace") for n, v in original if n in (REDRIVE_ID, REDRIVE_COUNT)}
    told = {
        "__dlq.errors.topic": failure.source,
        "__dlq.errors.partition": "" if failure.partition is None else str(failure.partition),
        "__dlq.errors.offset": failure.position,
        "__dlq.errors.group": failure.author.group,
        "__dlq.errors.delivery.count": str(failure.attempts or ""),
        "__dlq.errors.message": message_of(error),
        "penstock.dlq.exception": f"{type(error).__module__}.{type(error).__qualname__}",
        "penstock.dlq.reason": _reason(error),
        "penstock.dlq.stage": failure.stage,
        "penstock.dlq.pipeline": failure.author.pipeline,
        "penstock.dlq.worker": failure.author.worker,
        "penstock.dlq.operator": failure.operator,
        "penstock.dlq.position": failure.position,
        "penstock.dlq.origin": (failure.origin or b"").decode(errors="replace"),
        "penstock.dlq.time": (failure.event_time or b"").decode(errors="replace"),
        "penstock.dlq.place": place_of(error) if error.__traceback__ is not None else "",
        "penstock.dlq.fingerprint": fingerprint_of(failure.stage, error),
        "penstock.dlq.key.schema.id": _number(failure.key_schema_id),
        "penstock.dlq.value.schema.id": _number(failure.value_schema_id),
        "penstock.dlq.version": failure.author.version,
        "penstock.dlq.failed.ms": str(failure.failed_ms),
        "penstock.dlq.first.failed.ms": str(failure.first_failed_ms or ""),
        "penstock.dlq.attempts": str(failure.attempts or ""),
        _STACK: _stack(error),
        **redriven,
    }
    return kept + tuple((name, _cut(name, text)) for name, text in told.items() if text)


def _number(number: int | None) -> str:
    return "" if number is None else str(number)


def _reason(error: BaseException) -> str:
    """The word that our own errors carry; a foreign exception's attribute of that name may quote the payload."""
    return error.reason if isinstance(error, BadRecord) else "error"


def _cut(name: str, text: str) -> bytes:
    """At most so many bytes, never half a character."""
    most = MAX_HEADER_BYTES.get(name, MAX_OTHER_HEADER_BYTES)
    return text.encode(errors="backslashreplace")[:most].decode(errors="ignore").encode()


def _stack(error: BaseException) -> str:
    """Places only: a stack as Python prints it quotes the exception's text and source lines."""
    text, most = "\n".join(map(_told, _frames(error))).encode(errors="backslashreplace"), MAX_HEADER_BYTES[_STACK]
    # The innermost places, which stand last, tell most.
    return (text if len(text) <= most else text[-most:].partition(b"\n")[2]).decode()


def fit(value: bytes | None, max_bytes: int) -> tuple[bytes | None, Headers]:
    """The value if it fits into a dead letter of `max_bytes`, else none and a header that tells its size.

    The original stays at its source, whose position the headers name.
    """
    if value is None or len(value) <= max_bytes - HEADER_ROOM_BYTES:
        return value, ()
    return None, (("penstock.dlq.truncated.bytes", str(len(value)).encode()),)
