"""The producer that is killed while it publishes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from demo.figures import Actor
from demo.kill import LOOK_EVERY_S, PATIENCE_S, kill_when
from demo.project import Project
from demo.watch import TopicWatch
from penstock.errors import StartFailed

_COMMIT_INTERVAL_S = 0.25


class Kill(msgspec.Struct, kw_only=True):
    """One SIGKILL in the middle of publishing.

    Attributes:
        after_s: seconds since the first start of the producer.
        committed: records that were committed at that moment; counted afterwards.
        uncommitted: records in the transaction that died with the process.
        last_stable_offsets: {partition: offset} at that moment.
    """

    after_s: float
    uncommitted: int
    last_stable_offsets: dict[int, int]
    committed: int = 0


def publish_and_kill(
    project: Project,
    actor: Actor,
    watch: TopicWatch,
    moments: Sequence[tuple[int, float]],
    arguments: Sequence[str] = (),
    tell: Callable[[Kill], None] = lambda _: None,
) -> list[Kill]:
    """Run a producer to its end, killing it with SIGKILL on the way.

    Args:
        project: starts it.
        actor: the producer; told what happens to it.
        watch: of its topic.
        moments: of the kills: when the topic holds so many offsets, and then after so many seconds. The process has
            always published something itself before it dies.
        arguments: further ones for `penstock produce`.
        tell: of each kill.

    Raises:
        StartFailed: it ended before it could be killed, or with an error.
    """
    name, began = actor.name, time.monotonic()
    kills: list[Kill] = []
    for threshold, delay_s in moments:
        process = project.start("produce", name, arguments)
        actor.started()
        at_start = watch.written()
        # Its first act is to have its predecessor's transaction aborted: one marker in each partition, no record.
        due = max(threshold, sum(at_start.values()) + len(at_start) + 1)
        if kill_when(process, partial(_holds, watch, due), then_s=delay_s) is None:
            process.finish()
            raise StartFailed(f"`penstock produce {name}` was done before it could be killed")
        actor.killed()
        stable, written = _both_ends(watch)
        kills.append(
            Kill(
                after_s=round(time.monotonic() - began, 2),
                uncommitted=sum(written.values()) - sum(stable.values()),
                last_stable_offsets=stable,
            )
        )
        tell(kills[-1])
    publish_whole(project, [actor], arguments)
    return kills


def publish_whole(project: Project, actors: Sequence[Actor], arguments: Sequence[str] = ()) -> None:
    """Run producers to their end, one after the other and undisturbed.

    Raises:
        StartFailed: one ended with an error.
    """
    for actor in actors:
        process = project.start("produce", actor.name, arguments)
        actor.started()
        process.finish()
        actor.done()


def random_moments(seed: int, total: int, kills: int) -> list[tuple[int, float]]:
    """Where and when to kill: anywhere in the topic but its ends, and anywhere in a transaction."""
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be kept secret
    thresholds = sorted(int(total * dice.uniform(0.03, 0.85)) for _ in range(kills))
    return [(threshold, dice.uniform(0, _COMMIT_INTERVAL_S)) for threshold in thresholds]


def _both_ends(watch: TopicWatch) -> tuple[dict[int, int], dict[int, int]]:
    """(last stable offsets, high watermarks), as soon as every leader answers."""
    deadline = time.monotonic() + PATIENCE_S
    while not ((stable := watch.committed()) and (written := watch.written())):
        if time.monotonic() > deadline:
            raise StartFailed(f"no answer about the topic for {PATIENCE_S:.0f} s")
        time.sleep(LOOK_EVERY_S)
    return stable, written


def _holds(watch: TopicWatch, offsets: int) -> bool:
    return sum(watch.written().values()) >= offsets
