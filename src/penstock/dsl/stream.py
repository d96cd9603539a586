"""Streams and tables: every method adds a node to the graph and gives what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import reduce
from typing import Any, Generic, TypeVar, overload

from penstock.dsl.origin import UNKNOWN, Known, Origin
from penstock.dsl.rekeying import Rekeying
from penstock.operators.aggregate import Aggregate
from penstock.operators.branch import Branch
from penstock.operators.context import Context
from penstock.operators.count import Count
from penstock.operators.filter import Filter
from penstock.operators.flat_map import FlatMap
from penstock.operators.global_table import GlobalJoin, GlobalLeftJoin
from penstock.operators.join import Join, LeftJoin
from penstock.operators.map import Map
from penstock.operators.merge import Merge
from penstock.operators.operator import Operator
from penstock.operators.process import Process, Processor
from penstock.operators.reduce import Reduce
from penstock.operators.tap import Tap
from penstock.operators.to import To
from penstock.record import Record
from penstock.schemas.topic import Topic
from penstock.state.entry import Entry
from penstock.state.spec import StoreSpec
from penstock.topology.node import Policy

K = TypeVar("K")
V = TypeVar("V")
L = TypeVar("L")
W = TypeVar("W")
A = TypeVar("A")
T = TypeVar("T")


class Stream(Rekeying[K, V]):
    """Records on their way; made by `Pipeline.stream` and by the methods here.

    A stream may be used more than once: each use gets all records. Functions get the value; who needs key, headers or
    time uses `process`. What a function raises is a failure of its record, which `on_error=` judges: "fail" stops the
    task in front of it, "dead_letter" sets the record aside; left out, the pipeline's choice holds. Functions may run
    more than once for a record. `name=` is what messages, dead letters and descriptions call the step.
    """

    def map(
        self, function: Callable[[V], W], *, name: str | None = None, on_error: Policy | None = None
    ) -> Stream[K, W]:
        """Give each record the value that the function makes of its own."""
        return self._then(Map(function), UNKNOWN, name, on_error)

    def filter(
        self, function: Callable[[V], object], *, name: str | None = None, on_error: Policy | None = None
    ) -> Stream[K, V]:
        """Keep the records for whose value the function gives something true; the others are counted as filtered."""
        return self._then(Filter(function), self.origin.value, name, on_error)

    def flat_map(
        self, function: Callable[[V], Iterable[W]], *, name: str | None = None, on_error: Policy | None = None
    ) -> Stream[K, W]:
        """Put none, one or several records in each one's place, same key, with the values that the function gives."""
        return self._then(FlatMap(function), UNKNOWN, name, on_error)

    def tap(
        self, function: Callable[[V], object], *, name: str | None = None, on_error: Policy | None = None
    ) -> Stream[K, V]:
        """Show each value to the function and pass the record on. For logs and tests: it may see a record twice."""
        return self._then(Tap(function), self.origin.value, name, on_error)

    @overload
    def process(
        self,
        processor: Callable[[Record[K, V], Context], Iterable[Record[L, W]]],
        *,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream[L, W]: ...
    @overload
    def process(
        self, processor: type[Processor[K, V, L, W]], *, name: str | None = None, on_error: Policy | None = None
    ) -> Stream[L, W]: ...
    @overload
    def process(
        self, processor: Processor[K, V, L, W], *, name: str | None = None, on_error: Policy | None = None
    ) -> Stream[L, W]: ...
    def process(self, processor: Any, *, name: str | None = None, on_error: Policy | None = None) -> Stream[Any, Any]:
        """Run a processor: a function `(record, ctx)`, a class with such a method, or an object of one.

        A class is instantiated, an object copied, for every task. See `processor` for stores and rules. A record's
        `timestamp_ms` is written as it stands in what is yielded, the input's where it is None.
        """
        node = self.origin.drafts.add(Process(processor), [self.origin.way], name=name, on_error=on_error)
        # Its keys are still of the same type where a store needs them: it may not change them in front of one.
        return Stream(replace(self.origin.after(node, UNKNOWN), key=Known(self.origin.key.kind)))

    @overload
    def branch(
        self, first: Callable[[V], object], /, *, name: str | None = None, on_error: Policy | None = None
    ) -> tuple[Stream[K, V], Stream[K, V]]: ...
    @overload
    def branch(
        self,
        first: Callable[[V], object],
        second: Callable[[V], object],
        /,
        *,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> tuple[Stream[K, V], Stream[K, V], Stream[K, V]]: ...
    @overload
    def branch(
        self, *functions: Callable[[V], object], name: str | None = None, on_error: Policy | None = None
    ) -> tuple[Stream[K, V], ...]: ...
    def branch(
        self, *functions: Callable[[V], object], name: str | None = None, on_error: Policy | None = None
    ) -> tuple[Stream[K, V], ...]:
        """Send each record one way: that of the first function which says yes to its value, else the last.

        Returns:
            A stream for each function, and one for the rest, which may be left unused.
        """
        node = self.origin.drafts.add(Branch(functions), [self.origin.way], name=name, on_error=on_error)
        ways = range(len(functions) + 1)
        return tuple(Stream(self.origin.after(node, self.origin.value, port)) for port in ways)

    def merge(self, *others: Stream[K, W], name: str | None = None) -> Stream[K, V | W]:
        """This stream and others as one.

        Records of one source keep its order; what several streams make of one record comes in the streams' order.
        """
        streams: list[Stream[Any, Any]] = [self, *others]
        self._same_pipeline("merge", [other.origin for other in others])
        node = self.origin.drafts.add(Merge(), [stream.origin.way for stream in streams], name=name)
        return Stream(self.origin.after(node, reduce(Known.common, (stream.origin.value for stream in streams))))

    @overload
    def join(
        self,
        table: Table[K, T],
        function: Callable[[V, T], W],
        *,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream[K, W]: ...
    @overload
    def join(
        self,
        table: GlobalTable[L, T],
        function: Callable[[V, T], W],
        *,
        on: Callable[[V], L | None],
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream[K, W]: ...
    def join(
        self,
        table: Table[Any, Any] | GlobalTable[Any, Any],
        function: Callable[[V, Any], Any],
        *,
        on: Callable[[V], Any] | None = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream[K, Any]:
        """Give each record the value of `function(value, the table's value of its key)`; without one it is left out.

        Topic and table must have equally many partitions. A record meets the table as it was at its Kafka timestamp, a
        change with the same timestamp included. Before the first record of all, the table is read to its end.

        Args:
            table: a table of this pipeline; a global one, `Pipeline.global_table`, is whole in every task.
            function: called for each match.
            on: of a global table: which of its keys a value belongs to, None = none.
            name: see `Stream`.
            on_error: likewise.
        """
        if isinstance(table, GlobalTable):
            return self._joined(GlobalJoin(function, table.name, self._on(on)), table, name, on_error)
        return self._joined(Join(function, table.spec), table, name, on_error)

    @overload
    def left_join(
        self,
        table: Table[K, T],
        function: Callable[[V, T | None], W],
        *,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream[K, W]: ...
    @overload
    def left_join(
        self,
        table: GlobalTable[L, T],
        function: Callable[[V, T | None], W],
        *,
        on: Callable[[V], L | None],
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream[K, W]: ...
    def left_join(
        self,
        table: Table[Any, Any] | GlobalTable[Any, Any],
        function: Callable[[V, Any], Any],
        *,
        on: Callable[[V], Any] | None = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream[K, Any]:
        """As `join`; where the table has nothing for the key, the function gets None."""
        if isinstance(table, GlobalTable):
            return self._joined(GlobalLeftJoin(function, table.name, self._on(on)), table, name, on_error)
        return self._joined(LeftJoin(function, table.spec), table, name, on_error)

    @overload
    def aggregate(
        self,
        initial: type[A],
        add: Callable[[A, V], A],
        *,
        name: str,
        version: int = 1,
        upgrade: Callable[[int, Any], A] | None = None,
        on_error: Policy | None = None,
    ) -> Table[K, A]: ...
    @overload
    def aggregate(
        self,
        initial: Callable[[], A],
        add: Callable[[A, V], A],
        *,
        name: str,
        value: type[A],
        version: int = 1,
        upgrade: Callable[[int, Any], A] | None = None,
        on_error: Policy | None = None,
    ) -> Table[K, A]: ...
    def aggregate(
        self,
        initial: Callable[[], Any],
        add: Callable[[Any, V], Any],
        *,
        name: str,
        value: type[Any] | None = None,
        version: int = 1,
        upgrade: Callable[[int, Any], Any] | None = None,
        on_error: Policy | None = None,
    ) -> Table[K, Any]:
        """Keep a value per key, changed by each record, and pass on each new one.

        Args:
            initial: what a key begins with: a class whose objects can be made without arguments, or a function.
            add: (value so far, the record's value) -> new value.
            name: of the step and its store; renaming it begins anew.
            value: the type that is stored; left out where `initial` is a class.
            version: of that type, see `StoreSpec`.
            upgrade: likewise.
            on_error: see `Stream`.
        """
        kind = value if value is not None or not isinstance(initial, type) else initial
        spec = self.origin.drafts.store(name, self.origin.key.kind, kind, version, upgrade)
        return self._folded(Aggregate(spec, initial, add), name, Known(kind), on_error)

    def reduce(
        self,
        function: Callable[[V, V], V],
        *,
        name: str,
        value: type[V] | None = None,
        version: int = 1,
        upgrade: Callable[[int, Any], V] | None = None,
        on_error: Policy | None = None,
    ) -> Table[K, V]:
        """Fold the values of each key into one: `function(value so far, the record's value)`. Passes each new one on.

        Args:
            function: called from a key's second record on.
            name: of the step and its store; renaming it begins anew.
            value: the type that is stored; left out where the stream's is known, straight behind a source.
            version: of that type, see `StoreSpec`.
            upgrade: likewise.
            on_error: see `Stream`.
        """
        known = self.origin.value if value is None else Known(value)
        spec = self.origin.drafts.store(name, self.origin.key.kind, known.kind, version, upgrade)
        return self._folded(Reduce(spec, function), name, known, on_error)

    def count(self, *, name: str, on_error: Policy | None = None) -> Table[K, int]:
        """Count the records of each key, and pass on each new count.

        Args:
            name: of the step and its store; renaming it begins anew.
            on_error: see `Stream`.
        """
        spec = self.origin.drafts.store(name, self.origin.key.kind, int)
        return self._folded(Count(spec), name, Known(int), on_error)

    def to(self, topic: Topic[K, V], *, name: str | None = None, on_error: Policy | None = None) -> None:
        """Write the records to a topic, with their headers and the input's Kafka timestamp.

        A record without a key goes to the partition with the number of its source partition.
        """
        self.origin.drafts.add(To(topic), [self.origin.way], name=name, on_error=on_error)

    # ------------------------------------------------------------ within

    def _then(self, operator: Operator, value: Known, name: str | None, on_error: Policy | None) -> Stream[Any, Any]:
        node = self.origin.drafts.add(operator, [self.origin.way], name=name, on_error=on_error)
        return Stream(self.origin.after(node, value))

    def _joined(
        self, operator: Operator, table: AnyTable, name: str | None, on_error: Policy | None
    ) -> Stream[Any, Any]:
        if not self._same_pipeline("join", (table.origin,)):
            return self._then(operator, UNKNOWN, name, on_error)
        tables = [table.origin.way.node]
        node = self.origin.drafts.add(operator, [self.origin.way], tables=tables, name=name, on_error=on_error)
        return Stream(self.origin.after(node, UNKNOWN))

    def _on(self, on: Callable[[V], Any] | None) -> Callable[[V], Any]:
        if on is not None:
            return on
        self.origin.drafts.problems.append(
            "a join with a global table says by on= which of its keys a value belongs to"
        )
        return lambda value: value

    def _rekeyed(self, origin: Origin) -> Stream[Any, Any]:
        return Stream(origin)

    def _folded(self, operator: Operator, name: str, value: Known, on_error: Policy | None) -> Table[Any, Any]:
        stream = self._then(operator, value, name, on_error)
        (spec,) = operator.stores or (None,)
        return Table(stream, spec)

    def _same_pipeline(self, what: str, others: Iterable[Origin]) -> bool:
        if all(other.drafts is self.origin.drafts for other in others):
            return True
        self.origin.drafts.problems.append(
            f"{what} with a stream or table of another pipeline; they share nothing but topics"
        )
        return False


class Table(Generic[K, V]):
    """The latest value of each key, in a store; made by `Pipeline.table`, `aggregate`, `reduce` and `count`."""

    def __init__(self, changes: Stream[K, V], spec: StoreSpec[K, Entry[V]] | None) -> None:
        self._changes = changes
        self.spec = spec

    @property
    def origin(self) -> Origin:
        """Its place in the graph."""
        return self._changes.origin

    def to_stream(self) -> Stream[K, V]:
        """Its changes: a record for every change of a key, with the new value."""
        return self._changes

    def to(self, topic: Topic[K, V], *, name: str | None = None, on_error: Policy | None = None) -> None:
        """Write its changes to a topic; see `Stream.to`."""
        self._changes.to(topic, name=name, on_error=on_error)


class GlobalTable(Generic[K, V]):
    """A topic that every task sees whole, to be joined on any key; made by `Pipeline.global_table`."""

    def __init__(self, origin: Origin, name: str) -> None:
        self.origin = origin
        self.name = name


AnyTable = Table[Any, Any] | GlobalTable[Any, Any]
