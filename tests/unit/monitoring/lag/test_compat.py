"""Lag under the names of other exporters. Their names and labels are written out here, as their users have them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from penstock.monitoring import exporter_catalogue
from penstock.monitoring.compat_catalogue import COMPAT
from penstock.monitoring.lag import collector
from penstock.monitoring.lag.collector import families
from penstock.monitoring.lag.exporter import LagExporter
from penstock.monitoring.lag.observation import Observation
from penstock.monitoring.lag.observer import Observer, ObserverRules
from penstock.monitoring.metric import LABELS
from tests.unit.monitoring.lag.traffic import InMemoryCluster, Log
from tests.unit.monitoring.parsing import Series, scraped
from tests.unit.publishing.in_memory import ManualClock

NOW_MS = 50_000_000


def seen() -> tuple[Observation, Observer, ManualClock]:
    """Group `g` is 4 of 10 records behind in in[0] for 90 s, 1 in in[1] for 60 s, and 20 in extra[0] for 30 s."""
    clock = ManualClock()
    clock.now_s = NOW_MS / 1000
    logs = {
        ("in", 0): Log([NOW_MS - 90_000] * 10),
        ("in", 1): Log([NOW_MS - 60_000] * 3),
        ("in", 2): Log([NOW_MS - 10_000] * 7, open_from=5),
        ("extra", 0): Log([NOW_MS - 30_000] * 20),
    }
    logs["read by nobody", 0] = Log([NOW_MS])
    cluster = InMemoryCluster(logs, members={"g": {("in", 0)}})
    cluster.commit("g", 6, place=("in", 0))
    cluster.commit("g", 2, place=("in", 1))
    cluster.commit("g", 0, place=("extra", 0))
    observer = Observer(cluster, ObserverRules(), clock)
    return replace(observer.cycle(), duration_s=0.25), observer, clock


def told(found: dict[Series, float]) -> dict[str, float]:
    """{series as it is written: number} of what is not told without `--compat`."""
    ours = {metric.name for metric in exporter_catalogue.EXPORTER}
    return {
        f"{name}{{{','.join(f'{label}={value}' for label, value in labels)}}}": number
        for (name, labels), number in found.items()
        if name not in ours
    }


KAFKA_EXPORTER = {
    "kafka_topic_partitions{topic=in}": 3,
    "kafka_topic_partitions{topic=extra}": 1,
    "kafka_topic_partition_current_offset{partition=0,topic=in}": 10,
    "kafka_topic_partition_current_offset{partition=1,topic=in}": 3,
    "kafka_topic_partition_current_offset{partition=2,topic=in}": 7,
    "kafka_topic_partition_current_offset{partition=0,topic=extra}": 20,
    "kafka_topic_partition_oldest_offset{partition=0,topic=in}": 0,
    "kafka_topic_partition_oldest_offset{partition=1,topic=in}": 0,
    "kafka_topic_partition_oldest_offset{partition=2,topic=in}": 0,
    "kafka_topic_partition_oldest_offset{partition=0,topic=extra}": 0,
    "kafka_consumergroup_current_offset{consumergroup=g,partition=0,topic=in}": 6,
    "kafka_consumergroup_current_offset{consumergroup=g,partition=1,topic=in}": 2,
    "kafka_consumergroup_current_offset{consumergroup=g,partition=0,topic=extra}": 0,
    "kafka_consumergroup_current_offset_sum{consumergroup=g,topic=in}": 8,
    "kafka_consumergroup_current_offset_sum{consumergroup=g,topic=extra}": 0,
    "kafka_consumergroup_lag{consumergroup=g,partition=0,topic=in}": 4,
    "kafka_consumergroup_lag{consumergroup=g,partition=1,topic=in}": 1,
    "kafka_consumergroup_lag{consumergroup=g,partition=0,topic=extra}": 20,
    "kafka_consumergroup_lag_sum{consumergroup=g,topic=in}": 5,
    "kafka_consumergroup_lag_sum{consumergroup=g,topic=extra}": 20,
    "kafka_consumergroup_members{consumergroup=g}": 1,
}
KAFKA_LAG_EXPORTER = {
    "kafka_partition_latest_offset{cluster_name=kafka,partition=0,topic=in}": 10,
    "kafka_partition_latest_offset{cluster_name=kafka,partition=1,topic=in}": 3,
    "kafka_partition_latest_offset{cluster_name=kafka,partition=2,topic=in}": 7,
    "kafka_partition_latest_offset{cluster_name=kafka,partition=0,topic=extra}": 20,
    "kafka_partition_earliest_offset{cluster_name=kafka,partition=0,topic=in}": 0,
    "kafka_partition_earliest_offset{cluster_name=kafka,partition=1,topic=in}": 0,
    "kafka_partition_earliest_offset{cluster_name=kafka,partition=2,topic=in}": 0,
    "kafka_partition_earliest_offset{cluster_name=kafka,partition=0,topic=extra}": 0,
    "kafka_consumergroup_group_offset{cluster_name=kafka,group=g,partition=0,topic=in}": 6,
    "kafka_consumergroup_group_offset{cluster_name=kafka,group=g,partition=1,topic=in}": 2,
    "kafka_consumergroup_group_offset{cluster_name=kafka,group=g,partition=0,topic=extra}": 0,
    "kafka_consumergroup_group_lag{cluster_name=kafka,group=g,partition=0,topic=in}": 4,
    "kafka_consumergroup_group_lag{cluster_name=kafka,group=g,partition=1,topic=in}": 1,
    "kafka_consumergroup_group_lag{cluster_name=kafka,group=g,partition=0,topic=extra}": 20,
    "kafka_consumergroup_group_lag_seconds{cluster_name=kafka,group=g,partition=0,topic=in}": 90,
    "kafka_consumergroup_group_lag_seconds{cluster_name=kafka,group=g,partition=1,topic=in}": 60,
    "kafka_consumergroup_group_lag_seconds{cluster_name=kafka,group=g,partition=0,topic=extra}": 30,
    "kafka_consumergroup_group_max_lag{cluster_name=kafka,group=g}": 20,
    "kafka_consumergroup_group_max_lag_seconds{cluster_name=kafka,group=g}": 90,
    "kafka_consumergroup_group_sum_lag{cluster_name=kafka,group=g}": 25,
    "kafka_consumergroup_group_topic_sum_lag{cluster_name=kafka,group=g,topic=in}": 5,
    "kafka_consumergroup_group_topic_sum_lag{cluster_name=kafka,group=g,topic=extra}": 20,
    "kafka_consumergroup_poll_time_ms{cluster_name=kafka}": 250,
}


def test_other_exporters_names_have_their_labels_and_our_numbers() -> None:
    """in[2], of which nothing is committed, has no lag and no commit, neither -1 nor NaN."""
    found = told(scraped(families("kafka", seen()[0], NOW_MS, 15.0, has_other_names=True)))
    expected = KAFKA_EXPORTER | KAFKA_LAG_EXPORTER
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=0.05)


def test_without_being_asked_for_them_the_exporter_tells_none_of_these_names() -> None:
    assert told(scraped(families("kafka", seen()[0], NOW_MS, 15.0))) == {}


def test_the_exporter_tells_them_where_it_is_told_to() -> None:
    _, observer, clock = seen()
    asked, silent = (LagExporter(observer.cycle, "kafka", 15.0, clock, has_other_names=each) for each in (True, False))
    for exporter in (asked, silent):
        exporter.step()
    assert b'kafka_consumergroup_lag{consumergroup="g",partition="0",topic="in"} 4' in asked.pages["/metrics"]().body
    assert b"kafka_consumergroup_" not in silent.pages["/metrics"]().body


def test_what_is_too_old_is_not_told_under_any_name() -> None:
    assert told(scraped(families("kafka", seen()[0], NOW_MS + 46_000, 15.0, has_other_names=True))) == {}


def test_with_too_many_pairs_these_names_are_told_by_topic_and_group_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MOST_PAIRS", 3)
    found = told(scraped(families("kafka", seen()[0], NOW_MS, 15.0, has_other_names=True)))
    assert {each for each in found if "group" in each and "partition=" in each} == set()
    assert found["kafka_consumergroup_lag_sum{consumergroup=g,topic=in}"] == 5


def test_their_catalogue_is_what_is_told() -> None:
    found = told(scraped(families("kafka", seen()[0], NOW_MS, 15.0, has_other_names=True)))
    assert {re.match("[a-z_]+", each)[0] for each in found} == {metric.name for metric in COMPAT}  # type: ignore[index] # each has a name
    for metric in COMPAT:
        assert LABELS.issuperset(metric.labels)
