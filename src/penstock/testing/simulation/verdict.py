"""The judgement on what a simulated pipeline has left behind, each fault of it by its name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.offsets import OffsetMarker
from penstock.testing.cluster.partition import Kind, Stored
from penstock.testing.simulation.model import Given, Made, first_half, grown, second_half
from penstock.testing.simulation.shape import BETWEEN, FIRST, IN, PIPELINE, PLAIN, SECOND, TABLE, Shape

Partition = tuple[str, int]

Name = Literal[
    "lost",
    "duplicate",
    "phantom",
    "reordered",
    "wrong value",
    "wrong state",
    "dead letter lost",
    "dead letter duplicate",
    "dead letter phantom",
    "offset regression",
    "sequence broken",
    "aborted read",
    "torn",
    "stale restore",
    "dual writer",
    "output and dead letter both",
    "silent drop",
    "stands still",
    "stopped",
    "broken",
]
"""What can be wrong.

* of what is visible in an output, against the input in front of the committed offsets: `lost`, `duplicate`, `phantom`
  (nothing that this input can give), `reordered`, `wrong value` (of a fold)
* `wrong state`: the changelog adds up to something else
* of dead letters likewise
* of the group's log: `offset regression`, `sequence broken`
* of transactions and writers, by the history checker (`penstock.testing.history`): `aborted read`, `torn`,
  `stale restore`, `dual writer`, `output and dead letter both`, `silent drop`; it has its own words for the others too
* `stands still`: there is work, and it is not done. `stopped`: the engine says that an operator must decide.
  `broken`: it ended with an error that is nobody's.
"""

IS_OF_THE_ENGINE: Final[frozenset[Name]] = frozenset({"stands still", "stopped", "broken"})
"""These are about workers, the others about what they have left in the logs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that is wrong, and the evidence."""

    name: Name
    told: str

    def __str__(self) -> str:
        """For messages."""
        return f"{self.name}: {self.told}"


class Judge:
    """Looks at a cluster when nothing is open on it any more.

    Args:
        cluster: where the pipeline ran.
        shape: the pipeline.
    """

    def __init__(self, cluster: SimulatedCluster, shape: Shape) -> None:
        self._cluster = cluster
        self._shape = shape
        self._offsets = self._followed_offsets()

    def verdicts(self) -> list[Verdict]:
        """All that is wrong, the plainest first; empty = nothing."""
        return [*self._outputs(), *self._group_log()]

    # ------------------------------------------------------------ what is there

    def _visible(self, topic: str) -> list[list[Stored]]:
        """Per partition what a read_committed reader is shown."""
        return [
            [entry for entry in log.entries if entry.kind is Kind.DATA and entry.is_committed]
            for log in self._cluster.topics[topic].partitions
        ]

    def _dealt_with(self, topic: str) -> list[list[Given]]:
        """Per partition what lies in front of the committed offset, time marks left out."""
        return [
            [
                Given(entry.offset, (entry.key or b"").decode(), entry.value or b"")
                for entry in entries
                if entry.offset < self._offsets.get((topic, number), 0)
                and "penstock.control" not in {name for name, _ in entry.headers}
            ]
            for number, entries in enumerate(self._visible(topic))
        ]

    def _by_key(self, topic: str) -> dict[str, list[str]]:
        """{key: its values, in their order}; a key stands in one partition."""
        found: dict[str, list[str]] = defaultdict(list)
        for entries in self._visible(topic):
            for entry in entries:
                if "penstock.control" not in {name for name, _ in entry.headers}:
                    found[(entry.key or b"").decode()].append((entry.value or b"").decode())
        return found

    def _followed_offsets(self) -> dict[Partition, int]:
        return {place: commits[-1][0] for place, commits in self._commits().items()}

    def _commits(self) -> dict[Partition, list[tuple[int, str]]]:
        """{partition: (next offset, metadata) of its commits}, as they took effect."""
        pending: dict[int, dict[Partition, tuple[int, str]]] = defaultdict(dict)
        found: dict[Partition, list[tuple[int, str]]] = defaultdict(list)
        for entry in self._cluster.groups.group(PIPELINE).offsets.log:
            if isinstance(entry, OffsetMarker):
                staged = pending.pop(entry.producer_id, {})
                if entry.is_commit:
                    for place, commit in staged.items():
                        found[place].append(commit)
            elif entry.producer_id < 0:
                found[entry.partition].append((entry.next_offset, entry.metadata))
            else:
                pending[entry.producer_id][entry.partition] = (entry.next_offset, entry.metadata)
        return found

    # ------------------------------------------------------------ outputs, state, dead letters

    def _outputs(self) -> Iterator[Verdict]:
        table = {(e.key or b"").decode(): (e.value or b"").decode() for p in self._tables() for e in p}
        halves = [first_half(self._shape, records, table) for records in self._dealt_with(IN)]
        plain, again, histories = _joined(halves)
        if self._shape.writes_plain:
            yield from _compared(PLAIN, plain, self._by_key(PLAIN))
        if self._shape.folds:
            yield from _compared_folds(FIRST, histories, self._by_key(FIRST))
        if self._shape.folds or self._shape.joins:
            yield from self._state(f"{PIPELINE}.{IN}.changelog", "first", histories if self._shape.folds else {})
        yield from self._dead_letters(IN, halves)
        if self._shape.keys:
            yield from self._second_half(halves, again)

    def _tables(self) -> list[list[Stored]]:
        return self._visible(TABLE) if self._shape.joins else []

    def _second_half(self, halves: Sequence[Made], again: Mapping[str, list[str]]) -> Iterator[Verdict]:
        found = self._by_key(BETWEEN)
        yield from _compared(BETWEEN, again, found, is_ordered=len(halves) == 1)
        for half in halves:
            for key, values in half.again.items():
                own = set(values)
                if [value for value in found.get(key, []) if value in own] != values and Counter(
                    value for value in found.get(key, []) if value in own
                ) == Counter(values):
                    yield Verdict("reordered", f"{BETWEEN}, key {key}: not in the order of the partition it comes from")
        seconds = [second_half(self._shape, records) for records in self._dealt_with(BETWEEN)]
        _, _, histories = _joined(seconds)
        yield from _compared_folds(SECOND, histories, self._by_key(SECOND))
        yield from self._state(f"{PIPELINE}.again.changelog", "second", histories)
        yield from self._dead_letters(BETWEEN, seconds)

    def _state(self, changelog: str, store: str, histories: Mapping[str, list[str]]) -> Iterator[Verdict]:
        """Keys stand behind the store's name, values behind a version and beside a time (docs/reference)."""
        prefix = bytes([len(store)]) + store.encode()
        held: dict[bytes, bytes] = {}
        for entries in self._visible(changelog):
            for entry in entries:
                if entry.value is None:
                    held.pop(entry.key or b"", None)
                elif entry.key is not None:
                    held[entry.key] = entry.value
        found: dict[str, str] = {}
        for full_key, value in held.items():
            if full_key.startswith(prefix):
                stored: Any = msgspec.msgpack.decode(value[1:])
                found[full_key.removeprefix(prefix).decode()] = stored[0]
        expected = {key: " ".join(history) for key, history in histories.items() if history}
        if found != expected:
            key = min(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
            yield Verdict(
                "wrong state", f"{changelog}, {store}[{key}] is {found.get(key)!r}, not {expected.get(key)!r}"
            )

    def _dead_letters(self, topic: str, halves: Sequence[Made]) -> Iterator[Verdict]:
        dead = f"dlq.{topic}" if topic.startswith(PIPELINE) else f"dlq.{PIPELINE}.{topic}"
        found = Counter(
            (int(told["__dlq.errors.partition"]), int(told["__dlq.errors.offset"]))
            for entries in self._visible(dead)
            for entry in entries
            for told in [{name: (value or b"").decode() for name, value in entry.headers}]
        )
        expected = Counter((number, offset) for number, half in enumerate(halves) for offset in half.dead)
        for names, difference in (("dead letter lost", expected - found), ("dead letter phantom", found - expected)):
            if difference:
                (number, offset), _ = next(iter(difference.items()))
                again = names == "dead letter phantom" and (number, offset) in expected
                name: Name = "dead letter duplicate" if again else names  # type: ignore[assignment]  # one of both
                yield Verdict(name, f"{dead}: of {topic}[{number}]@{offset}, and {difference.total() - 1} more")

    # ------------------------------------------------------------ the group's log

    def _group_log(self) -> Iterator[Verdict]:
        for (topic, number), commits in sorted(self._commits().items()):
            where = f"{topic}[{number}]"
            offsets = [offset for offset, _ in commits]
            if offsets != sorted(offsets):
                yield Verdict("offset regression", f"{where}: {offsets}")
            sequences = [_sequence(metadata) for _, metadata in commits]
            if sequences != list(range(1, len(sequences) + 1)):
                yield Verdict("sequence broken", f"{where}: {sequences}")


def _sequence(metadata: str) -> int:
    fields = dict(part.split("=", 1) for part in metadata.split(";") if "=" in part)
    return int(fields.get("s", -1))


def _joined(halves: Sequence[Made]) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, list[str]]]:
    """(plain, again, histories) of all tasks."""
    plain: dict[str, list[str]] = defaultdict(list)
    again: dict[str, list[str]] = defaultdict(list)
    histories: dict[str, list[str]] = defaultdict(list)
    for half in halves:
        for whole, part in ((plain, half.plain), (again, half.again), (histories, half.histories)):
            for key, values in part.items():
                whole[key] += values
    return plain, again, histories


def _compared(
    topic: str, expected: Mapping[str, list[str]], found: Mapping[str, list[str]], *, is_ordered: bool = True
) -> Iterator[Verdict]:
    for key in sorted(expected.keys() | found.keys()):
        wanted, there = expected.get(key, []), found.get(key, [])
        missing, more = Counter(wanted) - Counter(there), Counter(there) - Counter(wanted)
        where = f"{topic}, key {key}"
        if missing:
            yield Verdict("lost", f"{where}: {next(iter(missing))}, and {missing.total() - 1} more of {len(wanted)}")
        if more:
            value = next(iter(more))
            yield Verdict(
                "duplicate" if value in wanted else "phantom",
                f"{where}: {value}, and {more.total() - 1} more beside {len(wanted)}",
            )
        if is_ordered and not missing and not more and wanted != there:
            yield Verdict("reordered", f"{where}: {there} instead of {wanted}")


def _compared_folds(
    topic: str, histories: Mapping[str, list[str]], found: Mapping[str, list[str]]
) -> Iterator[Verdict]:
    """A fold's output is a history that grows by one name each time: each line tells all that came before."""
    for key in sorted(histories.keys() | found.keys()):
        there = found.get(key, [])
        names = [line.rpartition(" ")[2] for line in there]
        wrong = list(_compared(topic, {key: histories.get(key, [])}, {key: names}))
        yield from wrong
        if not wrong and there != grown(names):
            place = next(n for n, (a, b) in enumerate(zip(there, grown(names), strict=True)) if a != b)
            yield Verdict("wrong value", f"{topic}, key {key}: line {place} is {there[place]!r}")
