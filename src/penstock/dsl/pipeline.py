"""`Pipeline`: where a graph begins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from penstock.dsl.draft import Drafts, Way
from penstock.dsl.origin import Known, Origin
from penstock.dsl.stream import GlobalTable, Stream, Table
from penstock.operators.global_table import GlobalTableSource
from penstock.operators.park import with_parking
from penstock.operators.table import TableSource
from penstock.schemas.topic import Topic
from penstock.topology.node import Policy, Source, Start
from penstock.topology.policy import CircuitBreaker, Classifier
from penstock.topology.topology import Topology, TopologyError
from penstock.topology.validation import problems_of

K = TypeVar("K")
V = TypeVar("V")


class Pipeline:
    """One consumer group, one unit of deployment, one lineage of state.

    ```python
    pipeline = ps.Pipeline("flight-status")
    pipeline.stream(FLIGHTS).filter(is_plausible).map(to_status).to(STATUS)
    ```

    Args:
        name: `[a-z][a-z0-9-]{0,62}`; also the consumer group's.
        on_error: what becomes of a record that fails in a step without a policy of its own: "fail" stops the task in
            front of it, "dead_letter" sends it to `dlq.<pipeline>.<source topic>`, in the same transaction, "block"
            tries it again until it succeeds, "park_key" too while only the records of its key wait, and a `Retry` says
            how often.
        classify: judges exceptions before the policy does: "poison" = the record's fault, so the policy decides;
            "transient" = a dependency is away, so the task waits and nothing is dead-lettered; "bug" = the task stops;
            None = by type: `ConnectionError` and `TimeoutError` are transient, `NameError`, `ImportError` and
            `NotImplementedError` are bugs, everything else is poison.
        breaker: when a task pauses because too much of what it does ends as dead letters; None = never.
    """

    def __init__(
        self,
        name: str,
        *,
        on_error: Policy = "fail",
        classify: Classifier | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self.name = name
        self.breaker = breaker
        self.on_error: Policy = on_error
        self.classify = classify
        self._drafts = Drafts(name)

    def stream(
        self,
        topic: Topic[K, V],
        *,
        timestamp: Callable[[V], datetime | int] | None = None,
        start: Start = "earliest",
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream[K, V]:
        """Read a topic.

        Args:
            topic: read once per pipeline; keep the stream in a variable to use it twice.
            timestamp: event time of a value, an aware datetime or milliseconds since 1970; left out, Kafka's timestamp.
            start: where a group begins that never read the topic.
            name: of the source and of the state behind it; left out, the topic's.
            on_error: of records that cannot be decoded, or have no event time.
        """
        node = self._drafts.add(Source(topic, timestamp, start), name=name, on_error=on_error)
        return Stream(Origin(self._drafts, Way(node), Known.of(topic.key), Known.of(topic.value)))

    def table(
        self, topic: Topic[K, V], *, name: str, value: type[V] | None = None, on_error: Policy | None = None
    ) -> Table[K, V]:
        """Keep the latest value of each key of a topic, for joins. A null value deletes its key.

        Args:
            topic: compacted or kept for ever, and declared so.
            name: of the table and its store; renaming it begins anew.
            value: the type that is stored; left out where the topic's serde knows it.
            on_error: of records that cannot be decoded, or have no key.
        """
        known = Known.of(topic.value)
        known = known if value is None else Known(value, known.serde)
        spec: Any = self._drafts.store(name, Known.of(topic.key).kind, known.kind)
        node = self._drafts.add(TableSource(topic, spec=spec), name=name, on_error=on_error)
        return Table(Stream(Origin(self._drafts, Way(node), Known.of(topic.key), known)), spec)

    def global_table(self, topic: Topic[K, V], *, name: str) -> GlobalTable[K, V]:
        """Let every task see the whole of a topic, for joins on any key; meant for small ones.

        Each worker reads all its partitions into memory, by a consumer of its own and anew at each start; no task
        begins before it has been read to its end. **It is no part of the exactly-once order**: when a change of it is
        seen is not fixed, and a record that is processed again, after a crash say, may meet a newer value. The result
        of a join is committed once all the same. For joins that do not depend on when, use `table`.

        Args:
            topic: compacted or kept for ever, and declared so; a null value deletes its key.
            name: of the table.
        """
        node = self._drafts.add(GlobalTableSource(topic), name=name)
        return GlobalTable(Origin(self._drafts, Way(node), Known.of(topic.key), Known.of(topic.value)), name)

    def topology(self) -> Topology:
        """The graph as it is now.

        Raises:
            TopologyError: with everything that is wrong with it.
        """
        nodes = with_parking(self._drafts.nodes(), self.on_error)
        problems = [*self._drafts.problems, *problems_of(self.name, nodes)]
        if problems:
            raise TopologyError(self.name, problems)
        return Topology(self.name, nodes, self.on_error, self.classify, self.breaker)
