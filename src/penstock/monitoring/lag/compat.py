"""An observation under the names of other lag exporters; see `compat_catalogue.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from penstock.monitoring import compat_catalogue as catalogue
from penstock.monitoring.exposition import Family, one
from penstock.monitoring.lag.observation import Backlog, Observation


def compat_families(cluster: str, seen: Observation, *, has_partitions: bool) -> Iterator[Family]:
    """Everything.

    Args:
        cluster: its name.
        seen: the newest observation; one that is not too old.
        has_partitions: whether groups are told by partition; else by topic only.
    """
    yield Family(catalogue.KE_PARTITIONS, [((topic,), count) for topic, count in seen.widths.items()])
    yield Family(catalogue.KE_MEMBERS, [((group,), each.members) for group, each in seen.groups.items()])
    yield one(catalogue.KLE_POLL_TIME, seen.duration_s * 1000, cluster)
    ends = {(topic, str(n)): extent.high_watermark for (topic, n), extent in seen.extents.items()}
    begins = {(topic, str(n)): extent.begin for (topic, n), extent in seen.extents.items()}
    for theirs, kles, offsets in (
        (catalogue.KE_CURRENT, catalogue.KLE_LATEST, ends),
        (catalogue.KE_OLDEST, catalogue.KLE_EARLIEST, begins),
    ):
        yield Family(theirs, [((*place,), offset) for place, offset in offsets.items()])
        yield Family(kles, [((cluster, *place), offset) for place, offset in offsets.items()])
    yield from _sums(cluster, seen.backlogs)
    if has_partitions:
        yield from _of_partitions(cluster, seen.backlogs)


def _sums(cluster: str, backlogs: tuple[Backlog, ...]) -> Iterator[Family]:
    by_topic, by_group, committed = Counter[tuple[str, str]](), Counter[str](), Counter[tuple[str, str]]()
    most, longest_s = dict[str, int](), dict[str, float]()
    for each in backlogs:
        if each.committed is not None:
            committed[each.group, each.topic] += each.committed
        if each.lag is not None:
            by_topic[each.group, each.topic] += each.lag
            by_group[each.group] += each.lag
            most[each.group] = max(each.lag, most.get(each.group, 0))
        if each.time_lag is not None:
            longest_s[each.group] = max(each.time_lag.seconds, longest_s.get(each.group, 0.0))
    yield Family(catalogue.KE_COMMITTED_SUM, [((*key,), offset) for key, offset in committed.items()])
    yield Family(catalogue.KE_LAG_SUM, [((*key,), lag) for key, lag in by_topic.items()])
    yield Family(catalogue.KLE_TOPIC_SUM_LAG, [((cluster, *key), lag) for key, lag in by_topic.items()])
    yield Family(catalogue.KLE_SUM_LAG, [((cluster, group), lag) for group, lag in by_group.items()])
    yield Family(catalogue.KLE_MAX_LAG, [((cluster, group), lag) for group, lag in most.items()])
    yield Family(catalogue.KLE_MAX_LAG_SECONDS, [((cluster, group), age_s) for group, age_s in longest_s.items()])


def _of_partitions(cluster: str, backlogs: tuple[Backlog, ...]) -> Iterator[Family]:
    places = {each: (each.group, each.topic, str(each.partition)) for each in backlogs}
    committed = [(at, each.committed) for each, at in places.items() if each.committed is not None]
    lags = [(at, each.lag) for each, at in places.items() if each.lag is not None]
    yield Family(catalogue.KE_COMMITTED, [((*at,), offset) for at, offset in committed])
    yield Family(catalogue.KE_LAG, [((*at,), lag) for at, lag in lags])
    yield Family(catalogue.KLE_OFFSET, [((cluster, *at), offset) for at, offset in committed])
    yield Family(catalogue.KLE_LAG, [((cluster, *at), lag) for at, lag in lags])
    yield Family(
        catalogue.KLE_LAG_SECONDS,
        [((cluster, *at), each.time_lag.seconds) for each, at in places.items() if each.time_lag is not None],
    )
