"""Who counts as the writer, at every place of any log that several processes wrote at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.embedded.registry.layout import Claim
from penstock.embedded.registry.lineage import Lineage


def test_records_of_a_superseded_writer_do_not_count() -> None:
    lineage = Lineage()
    assert lineage.follow(Claim("a"))
    assert lineage.admits("a")
    assert lineage.follow(Claim("b", supersedes="a"))
    assert not lineage.admits("a")
    assert lineage.admits("b")


def test_records_without_a_writer_count() -> None:
    """Karapace and Confluent's registry know nothing of claims."""
    lineage = Lineage()
    lineage.follow(Claim("a"))
    assert lineage.admits(None)


def test_a_claim_that_comes_late_does_not_count() -> None:
    """A process that stood still between reading the log and claiming it."""
    lineage = Lineage()
    lineage.follow(Claim("a"))
    lineage.follow(Claim("b", supersedes="a"))
    assert not lineage.follow(Claim("late", supersedes="a"))
    assert lineage.holder == "b"


def test_before_the_first_claim_everything_counts() -> None:
    """Compaction may have taken the claims under which older records were written."""
    lineage = Lineage()
    assert lineage.admits("long-gone")
    assert lineage.follow(Claim("c", supersedes="b-whose-claim-is-compacted"))


def test_a_holder_may_repeat_its_claim() -> None:
    lineage = Lineage()
    lineage.follow(Claim("a"))
    assert lineage.follow(Claim("a", supersedes="a", highest_id=7))


@dataclass
class Written:
    """A record, who wrote it, and up to which offset its writer had read when it decided to."""

    writer: str
    decided_at: int


@dataclass
class Process:
    """A writer. Between its steps it may stand still for as long as others take over."""

    name: str
    log: list[Claim | Written]
    lineage: Lineage = field(default_factory=Lineage)
    next_offset: int = 0
    acknowledged: set[int] = field(default_factory=set[int])

    def read(self) -> None:
        for offset in range(self.next_offset, len(self.log)):
            record = self.log[offset]
            if _take(self.lineage, record) and isinstance(record, Written) and record.writer == self.name:
                self.acknowledged.add(offset)
        self.next_offset = len(self.log)

    def claim(self) -> None:
        self.log.append(Claim(self.name, self.lineage.holder))

    def write(self) -> None:
        if self.lineage.holder == self.name:
            self.log.append(Written(self.name, self.next_offset))

    def take_over(self) -> None:
        self.read()
        self.claim()
        self.read()


STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([Process.take_over, Process.write, Process.read, Process.claim])),
    max_size=20,
)


A, B = 0, 1
STALE_CLAIM = [
    (A, Process.take_over),
    (B, Process.take_over),
    (B, Process.write),
    (A, Process.claim),  # on what it knew before it stood still
    (A, Process.write),
]


@settings(max_examples=500)
@given(STEPS)
@example(STALE_CLAIM)
def test_nothing_acknowledged_is_lost_and_no_decision_that_counts_was_made_on_old_news(
    steps: list[tuple[int, Callable[[Process], None]]],
) -> None:
    """However writers interleave: what one read back counts for all; between decision and record nobody else wrote."""
    log: list[Claim | Written] = []
    processes = [Process("a", log), Process("b", log)]
    for who, step in steps:
        step(processes[who])

    reader = Lineage()
    counting = [offset for offset, record in enumerate(log) if _take(reader, record)]
    assert processes[0].acknowledged | processes[1].acknowledged <= set(counting)
    written = {o: record for o in counting if isinstance(record := log[o], Written)}
    for offset, record in written.items():
        between = [w for o, w in written.items() if record.decided_at <= o < offset]
        assert all(w.writer == record.writer for w in between)


def _take(lineage: Lineage, record: Claim | Written) -> bool:
    return lineage.follow(record) if isinstance(record, Claim) else lineage.admits(record.writer)
