"""One cycle over a cluster: offsets of the groups first, ends of the partitions then, so that no lag is negative.

```
 groups ─► committed offsets ─► begins, last stable offsets, ends ─► curves ─► time lag ─► standing ─► Observation
```

A group reads up to the last stable offset if it is read_committed, else up to the high watermark. Which of the two
cannot be seen from outside: a group counts as read_committed until it commits behind a last stable offset, or until it
is said not to be. What a partition or group does not answer is left out and counted; there is never a guess, nor NaN.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from penstock.clock import Clock
from penstock.errors import OperatorMustDecide, PenstockError
from penstock.kafka.consumer import Committed
from penstock.kafka.extents import Extent
from penstock.kafka.polled import Partition
from penstock.kafka.survey import GroupSummary, TimedOffset
from penstock.monitoring.lag.asking import Asking
from penstock.monitoring.lag.curve import Curve
from penstock.monitoring.lag.observation import Backlog, GroupState, Observation
from penstock.monitoring.lag.stability import BLOCKED_AFTER_S, Stability
from penstock.monitoring.lag.standing import WINDOW, Sample, standing
from penstock.monitoring.lag.time_lag import Question, TimeLag, settle
from penstock.runtime.hang_timer import HangTimer
from penstock.state.offset_metadata import parse

LOGGER: Final = logging.getLogger("penstock.monitoring.lag")

_ALL_TOPICS_EVERY: Final = 20
"""Cycles between two in which a group is asked about every topic there is, not only those that it is known to read."""


class Cluster(Protocol):
    """What is asked of a cluster; `kafka.survey.Survey` on a real one."""

    def groups(self) -> list[str]: ...  # noqa: D102 - see `Survey`
    def described(self, groups: Collection[str]) -> dict[str, GroupSummary]: ...  # noqa: D102
    def partitions(self) -> dict[str, int]: ...  # noqa: D102
    def compacted(self, topics: Collection[str]) -> frozenset[str]: ...  # noqa: D102
    def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, Committed]: ...  # noqa: D102
    def extents(self, partitions: Collection[Partition]) -> dict[Partition, Extent]: ...  # noqa: D102
    def at_times(self, times_ms: Mapping[Partition, int]) -> dict[Partition, TimedOffset]: ...  # noqa: D102
    def has_record_from(self, place: Partition, next_offset: int) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class ObserverRules:
    """What is looked at, and how.

    Attributes:
        groups: those whose whole name fits.
        read_uncommitted: of these, those that read what no transaction has committed yet.
        probes: whether a few offsets that nobody reads are looked at, for they may be markers and no records; this
            needs Read rights.
        forget_after_s: a group without members that has not committed for so long is left out.
    """

    groups: re.Pattern[str] = re.compile(r".*")
    read_uncommitted: re.Pattern[str] = re.compile(r"(?!)")
    probes: bool = False
    forget_after_s: float = 86_400.0


_MOST_PROBES: Final = 16
_SUSPICIOUS: Final = 8
"""Offsets: more of them are hardly markers alone."""


@dataclass(slots=True)
class _Known:
    """What is remembered of a group."""

    topics: set[str] = field(default_factory=set[str])
    samples: dict[Partition, deque[Sample]] = field(default_factory=dict[Partition, "deque[Sample]"])
    lost: dict[Partition, tuple[int, int]] = field(default_factory=dict[Partition, tuple[int, int]])
    rates: dict[str, deque[tuple[int, int, int]]] = field(default_factory=dict[str, "deque[tuple[int, int, int]]"])
    reads_uncommitted: bool = False
    cycles: int = 0
    moved_ms: int = 0
    last: dict[Partition, int] = field(default_factory=dict[Partition, int])
    nothing_to: dict[Partition, int] = field(default_factory=dict[Partition, int])

    def keep(self, places: Collection[Partition]) -> None:
        """Forget all other partitions."""
        there = set(places)
        self.samples = {place: each for place, each in self.samples.items() if place in there}
        self.lost = {place: each for place, each in self.lost.items() if place in there}
        self.nothing_to = {place: each for place, each in self.nothing_to.items() if place in there}
        topics = {topic for topic, _ in there}
        self.rates = {topic: each for topic, each in self.rates.items() if topic in topics}


class Observer:
    """Looks at a cluster, cycle by cycle. For one thread.

    Args:
        cluster: to ask.
        rules: see there.
        clock: time.
        timer: runs while a question is open.
    """

    def __init__(self, cluster: Cluster, rules: ObserverRules, clock: Clock, timer: HangTimer | None = None) -> None:
        self._cluster, self._rules, self._clock = cluster, rules, clock
        self._asked = Asking(timer or HangTimer(None))
        self._known: dict[str, _Known] = {}
        self._curves: dict[Partition, Curve] = {}
        self._stability = Stability()
        self._lost: Counter[tuple[str, str]] = Counter()
        self._compacted: dict[str, bool] = {}

    def cycle(self) -> Observation:
        """Look once.

        Raises:
            PenstockError: the cluster does not say which groups and topics there are; everything else is left out.
        """
        began_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        names = [name for name in self._asked("groups", self._cluster.groups) if self._rules.groups.fullmatch(name)]
        widths = self._asked("topics", self._cluster.partitions)
        summaries = self._asked("describe_groups", lambda: self._cluster.described(names))
        degraded: Counter[str] = Counter(group=0)
        offsets: dict[str, dict[Partition, Committed]] = {}
        for name in names:
            found = self._offsets_of(name, summaries.get(name), widths, now_ms)
            if found is None:
                degraded["group"] += 1
            elif found or summaries.get(name, _NOTHING).assigned:
                offsets[name] = found
        self._known = {name: known for name, known in self._known.items() if name in names}
        self._forget_lost(offsets, widths, degraded["group"])
        places = {
            name: _places(found, summaries.get(name, _NOTHING).assigned, widths) for name, found in offsets.items()
        }
        wanted = sorted({place for each in places.values() for place in each})
        extents = self._asked("extents", lambda: self._cluster.extents(wanted)) if wanted else {}
        degraded["partition"] = len(wanted) - len(extents)
        ends_ms = self._clock.now_ms()
        self._learn_compacted({topic for topic, _ in wanted})
        self._look(extents, ends_ms)
        stuck = self._stability.look(extents, ends_ms)
        judged = [
            (name, place, extents[place], offsets[name].get(place))
            for name, theirs in places.items()
            for place in theirs
            if place in extents
        ]
        for name, _, extent, committed in judged:
            if committed is not None and committed.next_offset > extent.last_stable < extent.high_watermark:
                self._known[name].reads_uncommitted = True
        for name, theirs in places.items():
            self._known[name].keep(theirs)
        ends = {(name, place): self._end(name, extent) for name, place, extent, _ in judged}
        if self._rules.probes:
            self._probe(judged, ends)
        times = self._times(judged, ends, ends_ms)
        blocked = {place for place, since_ms in stuck.items() if ends_ms - since_ms >= BLOCKED_AFTER_S * 1000}
        backlogs = tuple(
            self._backlog(
                name, place, extent, ends[name, place], committed, summaries.get(name, _NOTHING), times, blocked
            )
            for name, place, extent, committed in judged
        )
        return Observation(
            at_ms=now_ms,
            duration_s=self._clock.monotonic_s() - began_s,
            extents=extents,
            stuck_since_ms=stuck,
            backlogs=backlogs,
            groups={
                name: GroupState(summaries[name].state, summaries[name].members)
                for name in offsets
                if name in summaries
            },
            drain_s=dict(self._drains(backlogs, ends_ms)),
            lost=dict(self._lost),
            requests=dict(self._asked.requests),
            degraded=dict(degraded),
            widths={topic: widths[topic] for topic in sorted({topic for topic, _ in wanted})},
        )

    # ------------------------------------------------------------ 1. committed offsets

    def _offsets_of(
        self, group: str, summary: GroupSummary | None, widths: Mapping[str, int], now_ms: int
    ) -> dict[Partition, Committed] | None:
        """{partition: what is committed}; empty for a group that is not to be told, None where it does not answer."""
        known = self._known.setdefault(group, _Known(moved_ms=now_ms))
        asks_all = known.cycles % _ALL_TOPICS_EVERY == 0
        topics = set(widths) if asks_all else known.topics | {t for t, _ in (summary or _NOTHING).assigned}
        asked = [(topic, number) for topic in sorted(topics & set(widths)) for number in range(widths[topic])]
        try:
            found = self._asked("committed", lambda: self._cluster.committed(group, asked))
        except PenstockError:
            return None
        known.cycles += 1
        known.topics = {topic for topic, _ in found}
        now = {place: committed.next_offset for place, committed in found.items()}
        if now != known.last:
            known.last, known.moved_ms = now, now_ms
        is_dead = summary is not None and not summary.members
        if is_dead and now_ms - known.moved_ms > self._rules.forget_after_s * 1000:
            return {}
        return found

    # ------------------------------------------------------------ 2. ends

    def _learn_compacted(self, topics: set[str]) -> None:
        """Asked once of each topic: what changes its policy afterwards is seen when the exporter is started again."""
        new = sorted(topics - self._compacted.keys())
        found = self._asked("configs", lambda: self._cluster.compacted(new)) if new else frozenset[str]()
        kept = {topic: is_so for topic, is_so in self._compacted.items() if topic in topics}
        self._compacted = kept | {topic: topic in found for topic in new}

    def _look(self, extents: Mapping[Partition, Extent], now_ms: int) -> None:
        curves = {place: self._curves.get(place) or Curve() for place in extents}
        for place, extent in extents.items():
            curves[place].look(now_ms, extent.high_watermark)
        self._curves = curves

    def _end(self, group: str, extent: Extent) -> int:
        """As far as the group can read."""
        known = self._known[group]
        is_uncommitted = known.reads_uncommitted or self._rules.read_uncommitted.fullmatch(group)
        return extent.high_watermark if is_uncommitted else extent.last_stable

    def _probe(
        self, judged: Iterable[tuple[str, Partition, Extent, Committed | None]], ends: dict[tuple[str, Partition], int]
    ) -> None:
        """Look at what stands between a commit that does not move and an end close behind it; lower ends by it."""
        left = _MOST_PROBES
        for group, place, extent, committed in judged:
            end, known = ends[group, place], self._known[group]
            if (
                committed is None
                or not 0 < end - committed.next_offset <= _SUSPICIOUS
                or committed.next_offset < extent.begin
            ):
                continue
            samples = known.samples.get(place)
            stands_still = samples is not None and samples[-1].committed == committed.next_offset
            if known.nothing_to.get(place) != end and stands_still and left:
                left -= 1
                try:
                    found = self._asked("probe", partial(self._cluster.has_record_from, place, committed.next_offset))
                except PenstockError as exc:
                    LOGGER.warning("what stands behind the commit of group '%s' could not be looked at: %s", group, exc)
                    continue
                if not found:
                    known.nothing_to[place] = end
            if known.nothing_to.get(place) == end:
                ends[group, place] = committed.next_offset

    # ------------------------------------------------------------ 3. time lag

    def _times(
        self,
        judged: Iterable[tuple[str, Partition, Extent, Committed | None]],
        ends: Mapping[tuple[str, Partition], int],
        now_ms: int,
    ) -> dict[tuple[str, Partition], TimeLag]:
        times: dict[tuple[str, Partition], TimeLag] = {}
        questions: dict[tuple[str, Partition], Question] = {}
        for group, place, extent, committed in judged:
            if committed is None:
                continue
            next_offset = max(committed.next_offset, extent.begin)
            if next_offset >= ends[group, place]:
                times[group, place] = TimeLag(0.0, 0.0)
            else:
                is_compacted = self._compacted[place[0]]
                questions[group, place] = Question(place, next_offset, _beacon_ms(committed), is_compacted)
        settle(
            questions.values(),
            self._curves,
            now_ms,
            lambda asked: self._asked("offsets_at_times", lambda: self._cluster.at_times(asked)),
        )
        for key, question in questions.items():
            answer = question.answer(self._curves[question.partition], now_ms)
            if answer is not None:
                times[key] = answer
        return times

    # ------------------------------------------------------------ 4. judgement

    def _backlog(
        self,
        group: str,
        place: Partition,
        extent: Extent,
        end: int,
        committed: Committed | None,
        summary: GroupSummary,
        times: Mapping[tuple[str, Partition], TimeLag],
        blocked: Collection[Partition],
    ) -> Backlog:
        if committed is None:
            return Backlog(group, *place, None, end, None, None, None, "uncommitted")
        next_offset = max(committed.next_offset, extent.begin)
        lag = max(0, end - next_offset)
        samples = self._known[group].samples.setdefault(place, deque(maxlen=WINDOW))
        samples.append(Sample(committed.next_offset, lag))
        self._note_lost(group, place, committed.next_offset, extent.begin)
        length = extent.high_watermark - extent.begin
        is_open_behind = place in blocked and end == extent.last_stable
        return Backlog(
            group,
            *place,
            committed.next_offset,
            end,
            lag,
            times.get((group, place)),
            min(1.0, (next_offset - extent.begin) / length) if length > 0 else 1.0,
            standing(list(samples), begin=extent.begin, is_blocked=is_open_behind, has_owner=place in summary.assigned),
        )

    def _note_lost(self, group: str, place: Partition, committed: int, begin: int) -> None:
        """Count what was deleted before it was read. What was gone before we first looked is not counted."""
        known = self._known[group].lost
        before = known.get(place)
        behind = max(0, begin - committed)
        known[place] = (committed, behind)
        was_committed, was_behind = (committed, behind) if before is None else before
        self._lost[group, place[0]] += max(0, behind - (was_behind if committed == was_committed else 0))

    def _forget_lost(self, told: Collection[str], topics: Collection[str], silent: int) -> None:
        """A group that is told no more, or a topic that is gone, ends its counter, or they would pile up for ever.

        Where some group did not answer, it may be any of those that are missing: then nothing is forgotten.
        """
        if not silent:
            gone = [key for key in self._lost if key[0] not in told or key[1] not in topics]
            for key in gone:
                del self._lost[key]

    def _drains(self, backlogs: Iterable[Backlog], now_ms: int) -> Iterator[tuple[tuple[str, str], float]]:
        """Seconds until each group has caught up with each topic, by how the lag shrank over the last cycles."""
        sums: dict[tuple[str, str], list[int]] = {}
        for each in backlogs:
            if each.lag is not None and each.committed is not None:
                total = sums.setdefault((each.group, each.topic), [0, 0])
                total[0] += each.lag
                total[1] += each.committed
        for (group, topic), (lag, committed) in sums.items():
            rates = self._known[group].rates.setdefault(topic, deque(maxlen=WINDOW))
            rates.append((now_ms, lag, committed))
            first_ms, first_lag, _ = rates[0]
            shrunk = first_lag - lag
            if lag == 0:
                yield (group, topic), 0.0
            elif shrunk > 0 and now_ms > first_ms:
                yield (group, topic), lag * (now_ms - first_ms) / 1000 / shrunk
            elif len(rates) > 1:
                yield (group, topic), math.inf


_NOTHING: Final = GroupSummary("UNKNOWN", 0)


def _places(
    found: Mapping[Partition, Committed], assigned: Collection[Partition], widths: Mapping[str, int]
) -> list[Partition]:
    """Every partition of the topics that the group reads."""
    topics = {topic for topic, _ in found} | {topic for topic, _ in assigned}
    return [(topic, number) for topic in sorted(topics) for number in range(widths.get(topic, 0))]


def _beacon_ms(committed: Committed) -> int | None:
    """When the record before the next one was appended, as a worker of ours writes beside its offsets."""
    try:
        metadata = parse(committed.metadata)
    except OperatorMustDecide:  # a newer release wrote it
        return None
    return None if metadata is None else metadata.append_time_ms
