"""Who of a pipeline's workers tells which dead letters wait, and what is told while they cannot be seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from penstock.errors import ServerUnreachable
from penstock.monitoring import catalogue
from penstock.redrive.backlog import Backlog
from penstock.supervisor.dead_letter_watch import INTERVAL_S, DeadLetterWatch
from tests.unit.monitoring.parsing import scraped, value
from tests.unit.publishing.in_memory import ManualClock

TOPICS = ["dlq.p.a", "dlq.p.b"]


@dataclass
class Reader:
    backlog: Backlog
    trouble: Exception | None = None

    def look(self) -> Backlog:
        if self.trouble is not None:
            raise self.trouble
        return self.backlog


@dataclass
class Scene:
    """A worker that is the one to tell, or not, and what it would find."""

    is_ours: bool = True
    readers: dict[str, Reader] = field(
        default_factory=lambda: {"dlq.p.a": Reader(Backlog(3, 5_000)), "dlq.p.b": Reader(Backlog(0, None))}
    )
    made: list[str] = field(default_factory=list[str])
    clock: ManualClock = field(default_factory=ManualClock)

    def watch(self) -> DeadLetterWatch:
        def reader(topic: str) -> Reader:
            self.made.append(topic)
            return self.readers[topic]

        return DeadLetterWatch(lambda: TOPICS, reader, lambda: self.is_ours, clock=self.clock)


def told(watch: DeadLetterWatch) -> dict[str, tuple[float | None, float | None]]:
    found = scraped(watch.families("p"))
    both = {
        topic: (
            value(found, str(catalogue.DLQ_BACKLOG), dlq_topic=topic),
            value(found, str(catalogue.DLQ_OLDEST), dlq_topic=topic),
        )
        for topic in TOPICS
    }
    return {topic: each for topic, each in both.items() if each != (None, None)}


def test_each_topic_is_told_by_how_many_wait_and_since_when() -> None:
    scene = Scene()
    watch = scene.watch()
    assert told(watch) == {}
    watch.step()
    watch.step()
    assert told(watch) == {"dlq.p.a": (3, 5), "dlq.p.b": (0, 0)}
    assert scene.made == TOPICS, "what was read is kept"


def test_what_was_done_with_letters_is_told_by_topic() -> None:
    scene = Scene()
    scene.readers["dlq.p.a"].backlog = Backlog(3, 5_000, redriven=7, dropped=2)
    watch = scene.watch()
    watch.step()
    found, name = scraped(watch.families("p")), str(catalogue.DLQ_SETTLED)
    assert value(found, name, dlq_topic="dlq.p.a", outcome="redriven") == 7
    assert value(found, name, dlq_topic="dlq.p.a", outcome="dropped") == 2
    assert value(found, name, dlq_topic="dlq.p.b", outcome="dropped") == 0


def test_a_worker_that_is_not_the_one_to_tell_reads_and_tells_nothing() -> None:
    scene = Scene(is_ours=False)
    watch = scene.watch()
    watch.step()
    assert told(watch) == {}
    assert scene.made == []


def test_when_it_goes_to_another_worker_it_is_told_no_more_from_that_moment_on() -> None:
    scene = Scene()
    watch = scene.watch()
    watch.step()
    scene.is_ours = False
    assert told(watch) == {}
    watch.step()
    scene.is_ours = True
    watch.step()
    assert scene.made == TOPICS * 2, "read anew, since much may have come and gone meanwhile"


def test_what_cannot_be_seen_is_not_told_and_the_next_look_may_see_it(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    watch = scene.watch()
    watch.step()
    scene.readers["dlq.p.a"].trouble = ServerUnreachable("away")
    watch.step()
    watch.step()
    assert "dlq.p.a" not in told(watch)
    assert [each.levelname for each in caplog.records] == ["WARNING"], "once, however long it lasts"
    scene.readers["dlq.p.a"].trouble = KeyError("a bug")
    watch.step()
    assert "dlq.p.a" not in told(watch)
    scene.readers["dlq.p.a"].trouble = None
    watch.step()
    assert told(watch) == {"dlq.p.a": (3, 5), "dlq.p.b": (0, 0)}


def test_what_was_seen_long_ago_is_told_no_more_should_a_look_hang() -> None:
    scene = Scene()
    watch = scene.watch()
    watch.step()
    scene.clock.now_s += 3 * INTERVAL_S
    assert told(watch) != {}
    scene.clock.now_s += 1
    assert told(watch) == {}
    watch.step()
    assert told(watch) != {}


def test_a_watch_looks_by_itself_while_it_is_entered() -> None:
    scene = Scene()
    watch = DeadLetterWatch(lambda: TOPICS, lambda topic: scene.readers[topic], lambda: True, interval_s=0.001)
    with watch:
        while not told(watch):
            pass
    assert told(watch)["dlq.p.a"] == (3, 5)
