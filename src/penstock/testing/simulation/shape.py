"""What a simulated pipeline is made of, as plain data, and the pipeline that is built of it.

Values are text, `<number>/<name>`: numbers decide where a record goes, and no two records have the same name, so that
each can be told from every other wherever it turns up. Folds write names one behind the other: what a table holds under
a key is the history of that key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from penstock.dsl.pipeline import Pipeline
from penstock.dsl.stream import Stream
from penstock.schemas.topic import Topic

PIPELINE: Final = "simulated"
IN: Final = "in"
TABLE: Final = "table"
PLAIN: Final = "plain"
FIRST: Final = "first"
SECOND: Final = "second"
BETWEEN: Final = f"{PIPELINE}.again.repartition"

Verb = Literal["map", "filter", "split", "refuse"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One step without memory.

    Attributes:
        verb: `map` adds to the number, `filter` leaves out multiples, `split` makes two of each even one, `refuse`
            fails for multiples.
        number: how much, or of what.
    """

    verb: Verb
    number: int

    def __call__(self, value: str) -> list[str]:
        """What becomes of a value.

        Raises:
            ValueError: it is refused.
        """
        text, _, name = value.partition("/")
        number = int(text)
        match self.verb:
            case "map":
                return [f"{number + self.number}/{name}"]
            case "filter":
                return [value] if number % self.number else []
            case "split":
                return [f"{number}/{name}a", f"{number}/{name}b"] if number % 2 == 0 else [value]
            case "refuse":
                if number % self.number == 0:
                    raise ValueError("refused")
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
        keys: how many different keys the second half has; 0 = there is none.
        tasks: of the second half.
        after: see the drawing.
    """

    partitions: int = 2
    before: tuple[Operation, ...] = ()
    joins: bool = False
    writes_plain: bool = True
    folds: bool = True
    keys: int = 0
    tasks: int = 2
    after: tuple[Operation, ...] = ()

    @property
    def outputs(self) -> list[str]:
        """Topics that it writes, dead letters and internal ones left out."""
        wanted = {PLAIN: self.writes_plain, FIRST: self.folds, SECOND: self.keys > 0}
        return [name for name, is_there in wanted.items() if is_there]

    def build(self) -> Pipeline:
        """The pipeline."""
        pipeline = Pipeline(PIPELINE, on_error="dead_letter")
        stream = _through(pipeline.stream(Topic(IN, key=str, value=str)), self.before, "before")
        if self.joins:
            topic = Topic(TABLE, key=str, value=str, tombstones=True, config={"cleanup.policy": "compact"})
            stream = stream.join(pipeline.table(topic, name="labels"), joined)
        if self.writes_plain:
            stream.to(Topic(PLAIN, key=str, value=str, partitions=self.partitions))
        if self.folds:
            table = stream.aggregate(str, chained, name="first")
            table.to(Topic(FIRST, key=str, value=str, partitions=self.partitions))
        if self.keys:
            again = stream.key_by(self.key, name="again", value=str, partitions=self.tasks)
            table = _through(again, self.after, "after").aggregate(str, chained, name="second")
            table.to(Topic(SECOND, key=str, value=str, partitions=self.tasks))
        return pipeline

    def key(self, value: str) -> str:
        """A value's key in the second half."""
        return f"k{int(value.partition('/')[0]) % self.keys}"


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
    def apply(value: str) -> list[str]:
        return operation(value)

    return apply
