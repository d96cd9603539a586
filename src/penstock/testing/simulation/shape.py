"""What a simulated pipeline is made of, as plain data, and the pipeline that is built of it.

Values are text, `<number>/<name>`: numbers decide where a record goes, and no two records have the same name, so that
each can be told from every other wherever it turns up. Folds write names one behind the other: what a table holds under
a key is the history of that key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from penstock.dsl.pipeline import Pipeline
from penstock.dsl.stream import Stream
from penstock.schemas.topic import Topic
from penstock.topology.policy import Policy, Retry

PIPELINE: Final = "simulated"
IN: Final = "in"
TABLE: Final = "table"
PLAIN: Final = "plain"
FIRST: Final = "first"
SECOND: Final = "second"
BETWEEN: Final = f"{PIPELINE}.again.repartition"

Verb = Literal["map", "filter", "split", "refuse", "stumble", "outage", "despair"]
Waiting = Literal["nobody", "partition", "key"]
"""Who waits for a record that is tried again: nobody does, it is set aside at once."""

_FAILURES: Final = 3
"""So often a value stumbles at a step. Two of them are fewer than a record's attempts."""
_ATTEMPTS: Final = 8


class Stumble(Exception):
    """A failure that is worth another try."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step without state.

    Attributes:
        verb: `map` adds to the number, `split` makes two of each even one; the others are for multiples: `filter`
            leaves them out, `refuse` fails for them, `stumble` and `outage` fail for each some times, as if a service
            did, and `despair` every time, although they are tried again.
        number: how much, or of what.
    """

    verb: Verb
    number: int

    def __call__(self, value: str, failures: Counter[str]) -> list[str]:
        """What becomes of a value.

        Args:
            value: see above.
            failures: how often each value has failed here, whichever worker tried it.

        Raises:
            ValueError: it is refused.
            Stumble: it fails this time.
            ConnectionError: likewise, and it is not to blame.
        """
        text, _, name = value.partition("/")
        number = int(text)
        is_multiple = number % self.number == 0
        match self.verb:
            case "map":
                return [f"{number + self.number}/{name}"]
            case "split":
                return [f"{number}/{name}a", f"{number}/{name}b"] if number % 2 == 0 else [value]
            case "filter":
                return [] if is_multiple else [value]
            case "refuse" if is_multiple:
                raise ValueError("refused")
            case "despair" if is_multiple:
                raise Stumble("it fails every time")
            case "stumble" | "outage" if is_multiple and failures[value] < _FAILURES:
                failures[value] += 1
                raise Stumble("it fails this time") if self.verb == "stumble" else ConnectionError("away")
            case _:
                return [value]


@dataclass(frozen=True, slots=True)
class Shape:
    """A pipeline.

    ```
    in ─► before ─►(join table)─► as it is ─► plain        if writes_plain
                                ├► fold     ─► first        if folds
                                └► key_by   ─► after ─► fold ─► second    if keys
    ```

    Attributes:
        partitions: of `in`, and of the table.
        before: see the drawing.
        joins: whether there is a table.
        writes_plain: see the drawing.
        folds: likewise.
        hides: values that are multiples of it cannot be shown behind the first fold, so that their record fails when
            the state is changed already; 0 = there are none.
        keys: how many different keys the second half has; 0 = there is none.
        tasks: of the second half.
        after: see the drawing.
        retry: whether what stumbles is tried again, and who waits for it.
    """

    partitions: int = 2
    before: tuple[Operation, ...] = ()
    joins: bool = False
    writes_plain: bool = True
    folds: bool = True
    keys: int = 0
    tasks: int = 2
    after: tuple[Operation, ...] = ()
    hides: int = 0
    retry: Waiting = "nobody"

    def build(self) -> Pipeline:
        """The pipeline."""
        pipeline = Pipeline(PIPELINE, on_error=self._policy())
        stream = _through(pipeline.stream(Topic(IN, key=str, value=str)), self.before, "before")
        if self.joins:
            topic = Topic(TABLE, key=str, value=str, tombstones=True, config={"cleanup.policy": "compact"})
            stream = stream.join(pipeline.table(topic, name="labels"), joined)
        if self.writes_plain:
            stream.to(Topic(PLAIN, key=str, value=str, partitions=self.partitions))
        if self.folds:
            grown = stream.aggregate(str, chained, name="first").to_stream().map(self._shown, name="shown")
            grown.to(Topic(FIRST, key=str, value=str, partitions=self.partitions))
        if self.keys:
            again = stream.key_by(self.key, name="again", value=str, partitions=self.tasks)
            table = _through(again, self.after, "after").aggregate(str, chained, name="second")
            table.to(Topic(SECOND, key=str, value=str, partitions=self.tasks))
        return pipeline

    def key(self, value: str) -> str:
        """A value's key in the second half."""
        return f"k{number_of(value) % self.keys}"

    def _shown(self, history: str) -> str:
        if self.hides and number_of(history.rpartition(" ")[2]) % self.hides == 0:
            raise ValueError("not to be shown")
        return history

    def _policy(self) -> Policy:
        if self.retry == "nobody":
            return "dead_letter"
        return Retry(
            keep=self.retry,
            attempts=_ATTEMPTS,
            first=timedelta(milliseconds=50),
            longest=timedelta(milliseconds=400),
            on=(Stumble,),
        )


def number_of(value: str) -> int:
    """What a value begins with."""
    return int(value.partition("/")[0])


def joined(value: str, label: str) -> str:
    """A value with what the table has for its key."""
    return f"{value}+{label}"


def chained(history: str, value: str) -> str:
    """A key's history with one more value."""
    return f"{history} {value}".lstrip()


def _through(stream: Stream[str, str], operations: Iterable[Operation], where: str) -> Stream[str, str]:
    for place, operation in enumerate(operations):
        stream = stream.flat_map(_typed(operation), name=f"{where}-{place}")
    return stream


def _typed(operation: Operation) -> Callable[[str], list[str]]:
    failures: Counter[str] = Counter()  # of a service outside, so that no worker's death changes it

    def apply(value: str) -> list[str]:
        return operation(value, failures)

    return apply
