"""An observation as metrics. What is not in the newest one is not told: a series ends with its group or partition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from penstock.monitoring import exporter_catalogue as catalogue
from penstock.monitoring.exposition import Family, one
from penstock.monitoring.lag.compat import compat_families
from penstock.monitoring.lag.observation import Backlog, Observation
from penstock.monitoring.lag.standing import STATUSES
from penstock.monitoring.process import process_families

MOST_PAIRS: Final = 5_000
"""Groups times partitions. With more, lag is told by topic only."""
_OLD_CYCLES: Final = 3


def families(
    cluster: str, seen: Observation | None, now_ms: int, interval_s: float, *, has_other_names: bool = False
) -> Iterator[Family]:
    """Everything.

    Args:
        cluster: its name.
        seen: the newest observation; None = there is none yet.
        now_ms: one that is older than three cycles by now tells nothing of lag, so that its absence is seen.
        interval_s: between two cycles.
        has_other_names: whether lag is told under the names of other exporters, too.
    """
    yield one(catalogue.SUCCESS, 0 if seen is None else seen.at_ms / 1000, cluster)
    yield from process_families()
    if seen is None:
        return
    yield one(catalogue.CYCLE, seen.duration_s, cluster)
    yield Family(catalogue.REQUESTS, [((cluster, *key), count) for key, count in seen.requests.items()])
    yield Family(catalogue.LOST, [((cluster, *key), count) for key, count in seen.lost.items()])
    if now_ms - seen.at_ms > _OLD_CYCLES * max(interval_s, seen.duration_s) * 1000:
        return
    yield Family(catalogue.DEGRADED, [((cluster, reason), count) for reason, count in seen.degraded.items()])
    yield from _of_partitions(cluster, seen)
    yield from _of_groups(cluster, seen)
    yield from _of_topics(cluster, seen)
    has_partitions = len(seen.backlogs) <= MOST_PAIRS
    if has_partitions:
        yield from _of_backlogs(cluster, seen.backlogs)
    if has_other_names:
        yield from compat_families(cluster, seen, has_partitions=has_partitions)


def _of_partitions(cluster: str, seen: Observation) -> Iterator[Family]:
    places = {place: (cluster, place[0], str(place[1])) for place in seen.extents}
    for metric, numbers in (
        (catalogue.LOG_START, {place: extent.begin for place, extent in seen.extents.items()}),
        (catalogue.LAST_STABLE, {place: extent.last_stable for place, extent in seen.extents.items()}),
        (catalogue.HIGH_WATERMARK, {place: extent.high_watermark for place, extent in seen.extents.items()}),
        (catalogue.UNSTABLE, {p: extent.high_watermark - extent.last_stable for p, extent in seen.extents.items()}),
        (catalogue.LSO_STUCK, {place: since_ms / 1000 for place, since_ms in seen.stuck_since_ms.items()}),
    ):
        yield Family(metric, [(places[place], number) for place, number in numbers.items()])


def _of_groups(cluster: str, seen: Observation) -> Iterator[Family]:
    yield Family(catalogue.GROUP_STATE, [((cluster, group, each.state), 1) for group, each in seen.groups.items()])
    yield Family(catalogue.GROUP_MEMBERS, [((cluster, group), each.members) for group, each in seen.groups.items()])


def _of_topics(cluster: str, seen: Observation) -> Iterator[Family]:
    lags, times, rooms = Counter[tuple[str, str]](), dict[tuple[str, str], float](), dict[tuple[str, str], float]()
    statuses: dict[tuple[str, str], Counter[str]] = {}
    for each in seen.backlogs:
        key = (each.group, each.topic)
        statuses.setdefault(key, Counter())[each.status] += 1
        if each.lag is not None:
            lags[key] += each.lag
        if each.time_lag is not None:
            times[key] = max(times.get(key, 0.0), each.time_lag.seconds)
        if each.headroom is not None:
            rooms[key] = min(rooms.get(key, 1.0), each.headroom)
    yield Family(catalogue.TOPIC_LAG, [((cluster, *key), number) for key, number in lags.items()])
    yield Family(catalogue.TOPIC_TIME_LAG, [((cluster, *key), number) for key, number in times.items()])
    yield Family(catalogue.TOPIC_HEADROOM, [((cluster, *key), number) for key, number in rooms.items()])
    yield Family(catalogue.TOPIC_DRAIN, [((cluster, *key), number) for key, number in seen.drain_s.items()])
    yield Family(
        catalogue.PARTITIONS,
        [((cluster, *key, status), found[status]) for key, found in statuses.items() for status in STATUSES],
    )


def _of_backlogs(cluster: str, backlogs: tuple[Backlog, ...]) -> Iterator[Family]:
    labels = {each: (cluster, each.group, each.topic, str(each.partition)) for each in backlogs}
    yield Family(catalogue.COMMITTED, [(at, b.committed) for b, at in labels.items() if b.committed is not None])
    yield Family(catalogue.LAG, [(at, b.lag) for b, at in labels.items() if b.lag is not None])
    timed = [(at, b.time_lag) for b, at in labels.items() if b.time_lag is not None]
    yield Family(catalogue.TIME_LAG, [(at, lag.seconds) for at, lag in timed])
    yield Family(catalogue.TIME_LAG_ERROR, [(at, lag.error_s) for at, lag in timed])
    yield Family(catalogue.HEADROOM, [(at, b.headroom) for b, at in labels.items() if b.headroom is not None])
    yield Family(
        catalogue.UNHEALTHY,
        [((*at, b.status), 1) for b, at in labels.items() if b.status not in ("ok", "uncommitted")],
    )
