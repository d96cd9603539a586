"""An engine in miniature, whose histories are right by construction: it shares no code with the real one.

Publishers and workers take steps in random order. A worker's transaction covers several tasks; its records stand
between those of others; its markers come later, one log at a time; it may die at any step and come back in the next
epoch; its tasks may go to another worker, which restores them from the changelog and claims them. `Faults` makes it do
one thing wrong, once, and says where.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from penstock.testing.history import NOBODY, History, Model, Place, Writer
from penstock.testing.history.run import Task
from tests.unit.testing.history.brokers import Brokers
from tests.unit.testing.history.faults import Faults
from tests.unit.testing.history.topologies import PARTITIONS
from tests.unit.testing.history.workers import Owned, Worker

Steps = Iterator[None]


class Publisher:
    """Publishes numbers under a few keys, in transactions of which some are aborted; or without any."""

    def __init__(self, play: Play, number: int) -> None:
        self.play = play
        self.writer = NOBODY if number == 0 else Writer(10 + number, 0)

    def live(self) -> Steps:
        play = self.play
        while play.numbers < play.inputs and not play.is_over:
            touched: list[Place | None] = []
            for _ in range(play.random.randint(1, 6)):
                yield
                play.numbers += 1
                key = b"k%d" % play.random.randrange(5)
                place = Place(play.random.choice(play.sources), sum(key) % PARTITIONS["in"])
                play.brokers.append(place, key, b"%d" % play.numbers, self.writer)
                if place not in touched:
                    touched.append(place)
            if play.numbers >= play.inputs and play.random.random() < 0.3:
                return  # its last transaction stays open, and holds readers back
            is_commit = play.random.random() < 0.7
            for marked in touched if self.writer != NOBODY else []:
                yield
                play.brokers.mark(marked, self.writer, is_commit=is_commit)


class Play:
    """A cluster, its publishers, and the workers of one pipeline."""

    def __init__(self, model: Model, seed: int, faults: Faults | None = None, inputs: int = 40) -> None:
        self.random = Random(seed)
        self.brokers = Brokers(model)
        self.faults = faults or Faults()
        self.inputs, self.numbers = inputs, 0
        self.is_over = False
        self.sources = sorted({topic for stage in model.stages for topic in stage.sources} - {"mid"})
        self.zombies: list[tuple[Worker, Owned, int, dict[Place, int], int]] = []
        self.tasks = [
            Owned(task, dict.fromkeys(task.sources, 0))
            for stage in model.stages
            for task in (Task(stage, p) for p in range(PARTITIONS[stage.sources[0]]))
        ]

    def run(self, steps: int = 1_200, *, settles: bool = False) -> History:
        """Let everyone take steps in random order; what is open at the end stays open, unless it `settles`."""
        actors = [Publisher(self, n).live() for n in range(self.random.randint(1, 3))]
        actors += [Worker(self, n).live() for n in range(self.random.randint(1, 3))]
        for _ in range(self.random.randint(steps // 10, steps)):
            self._step(actors)
        self.is_over = True
        while actors and settles:
            self._step(actors)
        return self.brokers.history

    def _step(self, actors: list[Steps]) -> None:
        actor = self.random.choice(actors) if actors else iter(())
        if next(actor, "over") == "over" and actors:
            actors.remove(actor)
        for zombie in list(self.zombies):
            worker, owned, owner_epoch, positions, sequence = zombie
            is_replaced = owned.owner not in {None, worker} and owned.owner_epoch > owner_epoch
            is_quiet = owned.owner is not None and not owned.owner.touched and not worker.touched
            if is_replaced and is_quiet and owned.sequence == sequence + 1:
                self.zombies.remove(zombie)
                for _ in worker.haunt(owned, owner_epoch, positions, sequence):
                    pass
