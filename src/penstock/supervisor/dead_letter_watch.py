"""The dead letters of a pipeline that wait for somebody, as metrics of one of its workers.

A thread beside the worker reads its dead-letter topics: once, then what is new. Of all workers of a pipeline only the
one that has partition 0 of its first input does so and tells; should that go to another, so does the telling.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Final, Protocol, Self

from penstock.clock import Clock, SystemClock
from penstock.errors import PenstockError
from penstock.monitoring import catalogue
from penstock.monitoring.exposition import Family
from penstock.redrive.backlog import Backlog

LOGGER: Final = logging.getLogger("penstock.monitoring")
INTERVAL_S: Final = 30.0
_FIRST_S: Final = 2.0
_OLD_LOOKS: Final = 3
"""After so many intervals without an answer, the last one is told no more."""


class Looks(Protocol):
    """Looks at one dead-letter topic; `redrive.backlog.BacklogReader` does."""

    def look(self) -> Backlog:
        """As of now."""
        ...


class DeadLetterWatch:
    """Looks while entered.

    Args:
        topics: the pipeline's dead-letter topics that are there now.
        reader: of one of them.
        is_ours: whether this worker is the one to tell.
        interval_s: between two looks.
        clock: time.
    """

    def __init__(
        self,
        topics: Callable[[], list[str]],
        reader: Callable[[str], Looks],
        is_ours: Callable[[], bool],
        interval_s: float = INTERVAL_S,
        clock: Clock | None = None,
    ) -> None:
        self._topics, self._reader, self._is_ours, self._interval_s = topics, reader, is_ours, interval_s
        self._readers: dict[str, Looks] = {}
        self._clock = clock or SystemClock()
        self._old_s = _OLD_LOOKS * max(interval_s, _FIRST_S)
        self._seen: tuple[float, Mapping[str, Backlog]] = (0.0, {})  # when, and what; swapped, never changed
        self._is_blind = False
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-dead-letters", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """End; a look under way is left to itself, so that nobody waits for a broker."""
        self._is_over.set()

    def _run(self) -> None:
        wait_s = soon_s = min(_FIRST_S, self._interval_s)
        while not self._is_over.wait(wait_s):
            self.step()
            # To look whether it is for us to tell costs nothing.
            wait_s = self._interval_s if self._is_ours() else soon_s

    def step(self) -> None:
        """Look once. What cannot be seen is not told."""
        if not self._is_ours():
            self._readers, self._seen = {}, (0.0, {})
            return
        found: dict[str, Backlog] = {}
        try:
            for topic in self._topics():
                if topic not in self._readers:
                    self._readers[topic] = self._reader(topic)
                found[topic] = self._readers[topic].look()
        except PenstockError as exc:
            level = logging.DEBUG if self._is_blind else logging.WARNING
            LOGGER.log(level, "how many dead letters wait cannot be seen, so it is not told: %s", exc)
            self._is_blind = True
        except Exception:
            # The thread lives on and tells nothing: one that had ended would tell its last numbers for ever.
            LOGGER.exception("how many dead letters wait cannot be seen; please report this")
        else:
            self._is_blind = False
        self._seen = (self._clock.monotonic_s(), found)

    def families(self, pipeline: str) -> Iterator[Family]:
        """As of the last look, unless that was long ago: one may hang. Any thread may ask."""
        at_s, found = self._seen
        if not self._is_ours() or self._clock.monotonic_s() - at_s > self._old_s:
            found = {}
        yield Family(catalogue.DLQ_BACKLOG, [((pipeline, topic), each.letters) for topic, each in found.items()])
        yield Family(
            catalogue.DLQ_OLDEST, [((pipeline, topic), (each.oldest_ms or 0) / 1000) for topic, each in found.items()]
        )
        yield Family(
            catalogue.DLQ_SETTLED,
            [
                ((pipeline, topic, outcome), count)
                for topic, each in found.items()
                for outcome, count in (("redriven", each.redriven), ("dropped", each.dropped))
            ],
        )
