"""Counting: one thread moves the numbers, another reads them now and then.

Nothing is locked. Python's own `dict.copy` and `list.copy` are whole, so a reader gets each metric as it was at one
moment; a histogram's sum may be a few observations ahead of its buckets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from penstock.monitoring.exposition import Exemplar, Family, LabelValues
from penstock.monitoring.metric import Metric


class Counter:
    """Numbers by label values, that only grow.

    Args:
        metric: of the catalogue.
        first: values of the first labels, the same for all.
    """

    def __init__(self, metric: Metric, *first: str) -> None:
        self._metric = metric
        self._first = first
        self._numbers: dict[LabelValues, float] = {}
        self._exemplars: dict[tuple[LabelValues, int], Exemplar] = {}

    def add(self, amount: float, *rest: str) -> None:
        """Move one up; 0 makes it known, so that its first step is seen as one."""
        self._numbers[rest] = self._numbers.get(rest, 0) + amount

    def exemplify(self, exemplar: Exemplar | None, *rest: str) -> None:
        """Whose step the last one was; None = nobody knows, and the one before stays."""
        if exemplar is not None:
            self._exemplars[(*self._first, *rest), 0] = exemplar

    def family(self) -> Family:
        """As of now."""
        return Family(
            self._metric,
            [((*self._first, *rest), n) for rest, n in self._numbers.copy().items()],
            exemplars=self._exemplars.copy(),
        )


class Histogram:
    """Observations by label values.

    Args:
        metric: of the catalogue.
        first: values of the first labels, the same for all.
    """

    def __init__(self, metric: Metric, *first: str) -> None:
        self._metric = metric
        self._first = first
        self._edges = metric.buckets
        self._counts: dict[LabelValues, list[int]] = {}
        self._sums: dict[LabelValues, float] = {}
        self._exemplars: dict[tuple[LabelValues, int], Exemplar] = {}

    def expect(self, *rest: str) -> None:
        """It is there from now on, so that the first observation is seen as a step."""
        self._of(rest)

    def observe(self, value: float, *rest: str) -> None:
        """One observation."""
        counts = self._of(rest)
        counts[bisect_left(self._edges, value)] += 1
        self._sums[rest] += value

    def observe_ages(self, stamps_ms: Sequence[int], now_ms: int, *rest: str) -> None:
        """How old each of these times is, in seconds; those to come are 0 old.

        Edges are looked for in the sorted times, instead of each time among the edges, and only those between the
        youngest and the oldest: stamps of a batch mostly ascend and are of about the same age, so that sorting them and
        adding them up is all that it costs.
        """
        if not stamps_ms:
            return
        counts, ordered, edges = self._of(rest), sorted(stamps_ms), self._edges
        left = len(ordered)
        place = bisect_left(edges, (now_ms - ordered[-1]) / 1000)
        while left and place < len(edges):
            # As old as the edge belongs below it: `le` is "less or equal".
            older = bisect_left(ordered, now_ms - edges[place] * 1000, 0, left)
            counts[place] += left - older
            left, place = older, place + 1
        counts[-1] += left
        past = len(ordered) if ordered[-1] <= now_ms else bisect_left(ordered, now_ms)
        self._sums[rest] += (past * now_ms - sum(ordered if past == len(ordered) else ordered[:past])) / 1000

    def exemplify(self, exemplar: Exemplar | None, *rest: str) -> None:
        """Whose observation one of its bucket was; None = nobody knows, and the one before stays."""
        if exemplar is not None:
            self._exemplars[(*self._first, *rest), bisect_left(self._edges, exemplar.value)] = exemplar

    def _of(self, rest: LabelValues) -> list[int]:
        counts = self._counts.get(rest)
        if counts is None:
            self._sums[rest] = 0.0
            counts = self._counts[rest] = [0] * (len(self._edges) + 1)
        return counts

    def family(self) -> Family:
        """As of now."""
        return Family(
            self._metric,
            histograms=[
                ((*self._first, *rest), counts.copy(), self._sums[rest]) for rest, counts in self._counts.copy().items()
            ],
            exemplars=self._exemplars.copy(),
        )
