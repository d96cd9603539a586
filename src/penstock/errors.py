"""Everything penstock raises, as one tree, split by what the caller does about it.

```
PenstockError
├── Retriable                   the same call, with the same arguments, may succeed later
│   ├── KafkaUnavailable        no broker answers, or a coordinator is moving
│   └── RegistryUnavailable     the schema registry is down: never a bad record
├── TransactionAborted          nothing became visible: discard, rewind, process again
├── OutcomeUnknown              a commit was sent and not answered: ask the log before anything else
├── Fenced                      a newer instance owns this transactional.id: close, do not retry
│   └── DuplicateIdentity       two live processes claim one identity: this one exits
├── Stop                        going on would put data at risk, or cannot help
│   ├── ConfigurationError      mend penstock.toml, the environment or the code
│   ├── UsageError              mend the command line
│   ├── ServerUnreachable       a server stayed away longer than its budget
│   ├── OperatorMustDecide      data at risk: the message names the choice and its command
│   └── StartFailed             an embedded server did not come up
└── BadRecord                   judge this one record; its neighbours are fine
    ├── UndecodableRecord       bytes that no schema explains
    ├── UnencodableValue        a value that does not fit its schema
    └── BadRow                  a source row that a producer rejects
```

Messages carry coordinates (topic, partition, offset, transactional.id, schema id), say what to do next, and never
contain payload values: they end in logs, metrics labels and dead-letter headers.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the `penstock` command returns; a supervisor restarts none of 2, 3, 5 and 6."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    OPERATOR_MUST_DECIDE = 5
    DUPLICATE_IDENTITY = 6
    BUG = 70


class PenstockError(Exception):
    """The root of the tree; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[ExitCode] = ExitCode.FINDINGS


class Retriable(PenstockError):
    """The same call with the same arguments may succeed later. Retry within a budget, then discard."""

    exit_code = ExitCode.UNREACHABLE


class KafkaUnavailable(Retriable):
    """No broker answers, or a coordinator is loading or moving. Retry the same call."""


class RegistryUnavailable(Retriable):
    """The schema registry did not answer. Pause and retry; the record in hand is not to blame."""


class TransactionAborted(PenstockError):
    """Nothing of the transaction became visible. Discard the producer, rewind, process again."""


class OutcomeUnknown(PenstockError):
    """A commit was sent and its result is not known. Ask the log; neither repeat nor drop the work before."""


class Fenced(PenstockError):
    """A newer instance owns this `transactional.id`. Close; retrying would fence the newer one in turn."""

    exit_code = ExitCode.DUPLICATE_IDENTITY


class DuplicateIdentity(Fenced):
    """Two live processes claim one identity. Give one of them another name, or stop it."""


class Stop(PenstockError):
    """Going on would put data at risk, or cannot help."""


class ConfigurationError(Stop):
    """A setting is wrong. The message names the file and the key, or the topic and its setting."""

    exit_code = ExitCode.CONFIGURATION


class UsageError(Stop):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = ExitCode.USAGE


class ServerUnreachable(Stop):
    """A server stayed away longer than its budget. Start it, or mend its address; then run again."""

    exit_code = ExitCode.UNREACHABLE


class OperatorMustDecide(Stop):
    """Data is at risk and only a person can choose. The message names both sides and the command that accepts."""

    exit_code = ExitCode.OPERATOR_MUST_DECIDE


class StartFailed(Stop):
    """An embedded server did not come up. The message ends with its last log lines."""

    exit_code = ExitCode.UNREACHABLE


class BadRecord(PenstockError):
    """One record is at fault; its neighbours are fine.

    `reason` is a closed set of words, fit for a metrics label; the message says more, and neither holds payload
    values.
    """

    def __init__(self, message: str, *, reason: str = "invalid") -> None:
        super().__init__(message)
        self.reason = reason


class UndecodableRecord(BadRecord):
    """Bytes that cannot be decoded: the raw record goes to its dead-letter policy.

    Attributes:
        reason: why, as a word (`magic_byte`, `unknown_schema`, `truncated`, `trailing_bytes`, ...).
        schema_id: the registry's id in the frame, `None` where the frame itself is broken.
        index: place in the batch that was decoded, 0-based.
        subject: under which its schema is registered; empty where no registry is asked.
        topic: where it was read; None until the reader knows.
        partition: likewise.
        offset: likewise.
    """

    def __init__(self, message: str, *, reason: str, schema_id: int | None = None, index: int = 0) -> None:
        super().__init__(message, reason=reason)
        self.schema_id = schema_id
        self.index = index
        self.subject = ""
        self.topic: str | None = None
        self.partition: int | None = None
        self.offset: int | None = None

    def at(self, topic: str, partition: int, offset: int) -> UndecodableRecord:
        """Name the coordinates and return self."""
        self.topic, self.partition, self.offset = topic, partition, offset
        return self

    def __str__(self) -> str:
        """The message, with the coordinates in front once they are known, and the schema id behind."""
        where = "" if self.topic is None else f"{self.topic}[{self.partition}]@{self.offset}: "
        schema = "" if self.schema_id is None else f" (schema id {self.schema_id})"
        return f"{where}{self.args[0]}{schema}"


class UnencodableValue(BadRecord):
    """A value that does not fit its schema: the record that carries it goes to its dead-letter policy.

    Attributes:
        field: dotted path to the offending field, empty where the value as a whole does not fit.
        index: place in the batch that was encoded, 0-based.
        subject: under which its schema is registered; empty where no registry is asked.
    """

    def __init__(self, message: str, *, field: str = "", index: int = 0, reason: str = "invalid") -> None:
        super().__init__(message, reason=reason)
        self.field = field
        self.index = index
        self.subject = ""


class BadRow(BadRecord):
    """Raised by your code: a source row cannot become a record, or a step of a pipeline finds a record wrong.

    The row or record, this message, the reason and the position at the source go to the dead letters.
    """
