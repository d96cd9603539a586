"""Cycles over a cluster in memory, as metrics tell them."""

from __future__ import annotations

import math
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import KafkaUnavailable
from penstock.monitoring import exporter_catalogue as catalogue
from penstock.monitoring.lag import collector
from penstock.monitoring.lag.collector import families
from penstock.monitoring.lag.exporter import LagExporter
from penstock.monitoring.lag.observation import Observation
from penstock.monitoring.lag.observer import Observer, ObserverRules
from penstock.monitoring.lag.standing import WINDOW
from penstock.monitoring.metric import LABELS
from penstock.runtime.hang_timer import HangTimer
from penstock.state.offset_metadata import OffsetMetadata
from tests.unit.monitoring.lag.traffic import InMemoryCluster, Log, P
from tests.unit.monitoring.parsing import Series, scraped, value
from tests.unit.publishing.in_memory import ManualClock

ROOT = Path(__file__).parents[4]


class Looking:
    """An observer whose cycles come every 15 seconds."""

    def __init__(self, cluster: InMemoryCluster, rules: ObserverRules | None = None) -> None:
        self.cluster = cluster
        self.clock = ManualClock()
        self.clock.now_s = 50_000.0
        self.observer = Observer(cluster, rules or ObserverRules(), self.clock)
        self.seen: Observation | None = None

    def looks(self, times: int = 1) -> dict[Series, float]:
        for _ in range(times):
            self.clock.now_s += 15
            self.seen = self.observer.cycle()
        return self.scrape()

    def scrape(self) -> dict[Series, float]:
        return scraped(families("kafka", self.seen, self.clock.now_ms(), 15.0))

    def value(self, name: object, **labels: str) -> float | None:
        return value(self.scrape(), str(name), **labels)

    def status(self, **labels: str) -> set[str]:
        return {
            dict(series.labels)["status"]
            for series, count in self.scrape().items()
            if series.name == str(catalogue.PARTITIONS) and count and labels.items() <= dict(series.labels).items()
        }


def log(records: int, age_s: int = 100) -> Log:
    return Log([(50_000 - age_s) * 1000 + n * 10 for n in range(records)])


def test_a_group_at_the_end_has_no_lag_of_either_kind() -> None:
    looking = Looking(InMemoryCluster({P: log(10)}))
    looking.cluster.commit("g", 10)
    looking.looks()
    assert looking.value(catalogue.LAG) == 0
    assert looking.value(catalogue.TIME_LAG) == 0
    assert looking.value(catalogue.TIME_LAG_ERROR) == 0
    assert looking.value(catalogue.HEADROOM) == 1
    assert looking.status() == {"ok"}


def test_what_an_open_transaction_holds_back_is_not_the_groups_lag() -> None:
    """Measured against the high watermark it would be blamed for 6; against the last stable offset alone nobody is."""
    looking = Looking(InMemoryCluster({P: log(10)}))
    looking.cluster.logs[P].open_from = 4
    looking.cluster.commit("g", 4)
    looking.looks()
    assert looking.value(catalogue.LAG) == 0
    assert looking.value(catalogue.UNSTABLE) == 6
    assert looking.status() == {"ok"}, "a transaction may be open for a while"
    seen: list[set[str]] = []
    for _ in range(5):
        looking.cluster.logs[P].times_ms.append(looking.clock.now_ms())
        looking.looks()
        seen.append(looking.status())
    assert seen == [{"ok"}] * 3 + [{"blocked"}] * 2, "for a minute it may"
    assert looking.value(catalogue.LAG) == 0
    assert looking.value(catalogue.LSO_STUCK) == 50_015
    looking.cluster.logs[P].open_from = None
    looking.looks()
    assert looking.value(catalogue.LAG) == 11
    assert looking.value(catalogue.LSO_STUCK) is None


def test_an_open_transaction_behind_which_nothing_comes_blocks_nobody() -> None:
    looking = Looking(InMemoryCluster({P: log(10)}))
    looking.cluster.logs[P].open_from = 4
    looking.cluster.commit("g", 4)
    looking.looks(6)
    assert looking.status() == {"ok"}
    assert looking.value(catalogue.LSO_STUCK) is None


def test_a_group_that_commits_behind_the_last_stable_offset_reads_uncommitted() -> None:
    looking = Looking(InMemoryCluster({P: log(10)}))
    looking.cluster.logs[P].open_from = 4
    looking.cluster.commit("g", 7)
    looking.looks()
    assert looking.value(catalogue.LAG) == 3


def test_a_group_may_be_said_to_read_uncommitted() -> None:
    rules = ObserverRules(read_uncommitted=re.compile("g"))
    looking = Looking(InMemoryCluster({P: log(10)}), rules)
    looking.cluster.logs[P].open_from = 4
    looking.cluster.commit("g", 4)
    looking.looks()
    assert looking.value(catalogue.LAG) == 6


def test_a_commit_that_is_further_than_the_end_is_no_negative_lag() -> None:
    """The end is asked for behind the commit, but a topic may be made anew in between."""
    looking = Looking(InMemoryCluster({P: log(10)}))
    looking.cluster.commit("g", 500)
    found = looking.looks()
    assert looking.value(catalogue.LAG) == 0
    assert all(number >= 0 for number in found.values())


def test_a_partition_without_a_commit_has_no_lag_and_is_counted() -> None:
    looking = Looking(InMemoryCluster({P: log(10), ("in", 1): log(10)}))
    looking.cluster.commit("g", 10)
    looking.looks()
    assert looking.value(catalogue.LAG, partition="1") is None
    assert looking.value(catalogue.TIME_LAG, partition="1") is None
    assert looking.value(catalogue.PARTITIONS, status="uncommitted") == 1
    assert looking.value(catalogue.PARTITIONS, status="ok") == 1
    assert looking.value(catalogue.TOPIC_LAG) == 0


def test_what_was_deleted_before_it_was_read_is_lost_and_no_lag() -> None:
    looking = Looking(InMemoryCluster({P: log(100)}))
    looking.cluster.commit("g", 10)
    looking.looks()
    assert looking.value(catalogue.LOST) == 0
    looking.cluster.logs[P].begin = 30
    looking.looks()
    assert looking.value(catalogue.LAG) == 70
    assert looking.value(catalogue.LOST) == 20
    assert looking.value(catalogue.HEADROOM) == 0
    assert looking.status() == {"lost"}
    looking.cluster.logs[P].begin = 40
    looking.looks(2)
    assert looking.value(catalogue.LOST) == 30, "what is gone is counted once"
    looking.cluster.commit("g", 60)
    looking.cluster.logs[P].begin = 70
    looking.looks()
    assert looking.value(catalogue.LOST) == 40


def test_losses_of_a_group_that_is_gone_are_told_no_more_and_of_one_that_is_silent_they_are() -> None:
    """Groups of consoles come and go, each with a name of its own: their counters would pile up for ever."""
    looking = Looking(InMemoryCluster({P: log(10)}))
    for group in ("stays", "goes"):
        looking.cluster.commit(group, 2)
    looking.looks()
    looking.cluster.logs[P].begin = 5
    looking.looks()
    assert looking.value(catalogue.LOST, group="goes") == looking.value(catalogue.LOST, group="stays") == 3
    looking.cluster.silent = {"goes"}
    looking.looks()
    assert looking.value(catalogue.LOST, group="goes") == 3
    looking.cluster.silent = set()
    del looking.cluster.commits["goes"]
    looking.looks()
    assert looking.value(catalogue.LOST, group="goes") is None
    assert looking.value(catalogue.LOST, group="stays") == 3


def test_what_was_gone_before_the_first_look_is_not_counted_as_lost() -> None:
    """Else each restart of the exporter would tell of the same loss again."""
    looking = Looking(InMemoryCluster({P: log(100)}))
    looking.cluster.logs[P].begin = 30
    looking.cluster.commit("g", 10)
    looking.looks(3)
    assert looking.value(catalogue.LOST) == 0
    assert looking.status() == {"lost"}


def test_head_room_says_how_near_deletion_is() -> None:
    looking = Looking(InMemoryCluster({P: log(110)}))
    looking.cluster.logs[P].begin = 10
    looking.cluster.commit("g", 30)
    looking.looks()
    assert looking.value(catalogue.HEADROOM) == 0.2
    assert looking.value(catalogue.TOPIC_HEADROOM) == 0.2


def test_time_lag_comes_from_the_broker_where_nothing_else_is_known() -> None:
    looking = Looking(InMemoryCluster({P: log(1_000, age_s=3_600)}))
    looking.cluster.commit("g", 400)
    looking.looks()
    assert looking.value(catalogue.TIME_LAG) == pytest.approx(3_611, rel=0.05)
    error_s = looking.value(catalogue.TIME_LAG_ERROR)
    assert error_s is not None
    assert error_s < 0.05 * 3_611


def test_a_worker_of_ours_says_how_old_the_next_record_is_at_most() -> None:
    looking = Looking(InMemoryCluster({P: log(1_000, age_s=3_600)}))
    beacon = OffsetMetadata(sequence=1, writer="w", owner_epoch=1, append_time_ms=looking.clock.now_ms() - 5_000)
    looking.cluster.commit("g", 400, metadata=str(beacon))
    looking.looks()
    lag_s, error_s = looking.value(catalogue.TIME_LAG), looking.value(catalogue.TIME_LAG_ERROR)
    assert lag_s is not None
    assert error_s is not None
    assert lag_s + error_s <= 20


def test_markers_that_nobody_reads_are_lag_until_somebody_looks() -> None:
    """An idle group behind a commit marker shows a lag of 1 for ever; with Read rights it is seen to be nothing."""
    cluster = InMemoryCluster({P: Log([49_000_000, None])})
    cluster.commit("g", 1)
    plain, probing = Looking(cluster), Looking(cluster, ObserverRules(probes=True))
    plain.looks(3)
    assert plain.value(catalogue.LAG) == 1
    assert cluster.asked["probe"] == 0
    probing.looks(4)
    assert probing.value(catalogue.LAG) == 0
    assert probing.value(catalogue.TIME_LAG) == 0
    assert cluster.asked["probe"] == 1, "what was seen stays true until the end moves"
    cluster.logs[P].times_ms.append(probing.clock.now_ms())
    probing.looks(2)
    assert probing.value(catalogue.LAG) == 2


def test_a_group_that_stands_still_is_stalled_or_stopped() -> None:
    looking = Looking(InMemoryCluster({P: log(10)}))
    looking.cluster.commit("has-it", 3)
    looking.cluster.commit("has-nobody", 3)
    looking.cluster.members = {"has-it": {P}}
    looking.looks(WINDOW)
    assert looking.status(group="has-it") == {"stalled"}
    assert looking.status(group="has-nobody") == {"stopped"}
    assert looking.value(catalogue.UNHEALTHY, group="has-it", status="stalled") == 1
    assert looking.value(catalogue.GROUP_STATE, group="has-nobody", state="EMPTY") == 1
    looking.cluster.commit("has-it", 10)
    looking.looks()
    assert looking.status(group="has-it") == {"ok"}
    assert looking.value(catalogue.UNHEALTHY, group="has-it") is None


def test_a_group_that_nobody_is_in_any_more_is_forgotten_in_the_end() -> None:
    """Its offsets stay until they expire; without this its alert would, too."""
    looking = Looking(InMemoryCluster({P: log(10)}), ObserverRules(forget_after_s=60))
    looking.cluster.commit("left", 3)
    looking.cluster.commit("lives", 3)
    looking.cluster.members = {"lives": {P}}
    looking.looks(4)
    assert looking.value(catalogue.LAG, group="left") == 7
    looking.looks(2)
    assert looking.value(catalogue.LAG, group="left") is None
    assert looking.value(catalogue.LAG, group="lives") == 7


def test_drain_time_says_when_the_group_will_have_caught_up() -> None:
    looking = Looking(InMemoryCluster({P: log(1_000)}))
    looking.cluster.commit("g", 0)
    looking.looks()
    assert looking.value(catalogue.TOPIC_DRAIN) is None, "one look says nothing of pace"
    looking.cluster.commit("g", 250)
    looking.looks()
    assert looking.value(catalogue.TOPIC_DRAIN) == 45
    looking.looks(WINDOW)
    assert looking.value(catalogue.TOPIC_DRAIN) == math.inf
    looking.cluster.commit("g", 1_000)
    looking.looks()
    assert looking.value(catalogue.TOPIC_DRAIN) == 0


def test_what_does_not_answer_is_left_out_and_counted() -> None:
    looking = Looking(InMemoryCluster({P: log(10), ("in", 1): log(10)}))
    looking.cluster.commit("g", 3)
    looking.cluster.commit("g", 3, ("in", 1))
    looking.cluster.commit("other", 3)
    looking.looks()
    assert looking.value(catalogue.DEGRADED, reason="group") == 0
    assert looking.value(catalogue.REQUESTS, api="committed", outcome="failed") == 0, "the first failure is a step"
    looking.cluster.silent = {("in", 1), "other"}
    looking.looks()
    assert looking.value(catalogue.LAG, group="g", partition="0") == 7
    assert looking.value(catalogue.LAG, group="g", partition="1") is None
    assert looking.value(catalogue.LAG, group="other") is None
    assert looking.value(catalogue.DEGRADED, reason="partition") == 1
    assert looking.value(catalogue.DEGRADED, reason="group") == 1
    assert looking.value(catalogue.REQUESTS, api="committed", outcome="failed") == 1


def test_an_exporter_that_sees_nothing_any_more_tells_nothing_of_lag() -> None:
    """Old numbers that stay would look like a group that stands still; their absence is what an alert can see."""
    looking = Looking(InMemoryCluster({P: log(10)}))
    looking.cluster.commit("g", 3)
    exporter = LagExporter(looking.observer.cycle, "kafka", 15.0, looking.clock)
    assert exporter.pages["/readyz"]().status == 503
    exporter.step()
    looking.cluster.silent = {"groups"}
    with pytest.raises(KafkaUnavailable):
        looking.looks()
    exporter.step()
    assert b"kafka_group_lag_offsets{" in exporter.pages["/metrics"]().body
    looking.clock.now_s += 46
    exporter.step()
    told = exporter.pages["/metrics"]().body
    assert b"kafka_group_" not in told.replace(b"kafka_group_lost_offsets_total", b"")
    assert b'kafka_lag_exporter_last_success_timestamp_seconds{cluster="kafka"} 50015' in told.replace(
        b"50000", b"50015"
    )
    assert exporter.pages["/readyz"]().status == 200


def test_with_too_many_pairs_lag_is_told_by_topic_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looking = Looking(InMemoryCluster({P: log(10)}))
    looking.cluster.commit("g", 3)
    looking.looks()
    assert looking.value(catalogue.LAG) == 7
    monkeypatch.setattr(collector, "MOST_PAIRS", 0)
    assert looking.value(catalogue.LAG) is None
    assert looking.value(catalogue.TOPIC_LAG) == 7
    assert looking.value(catalogue.TOPIC_HEADROOM) is not None


def test_every_metric_of_the_catalogue_is_told_and_no_other() -> None:
    looking = Looking(InMemoryCluster({P: log(100), ("in", 1): log(10)}))
    looking.cluster.commit("g", 10)
    looking.cluster.logs["in", 1].open_from = 3
    for _ in range(WINDOW):
        looking.cluster.logs["in", 1].times_ms.append(looking.clock.now_ms())
        looking.looks()
    found = looking.scrape()
    assert {series.name for series in found} == {metric.name for metric in catalogue.EXPORTER}
    for metric in catalogue.EXPORTER:
        assert LABELS.issuperset(metric.labels)
        for series in found:
            if series.name == metric.name:
                told = dict(series.labels)
                assert sorted(told) == sorted(metric.labels)
                for label, values in metric.values:
                    assert told[label] in values


# ---------------------------------------------------------------- a question that does not come back

HANGS = """
from penstock.clock import SystemClock
from penstock.monitoring.lag.observer import Observer, ObserverRules
from penstock.runtime.hang_timer import HangTimer
from tests.unit.monitoring.lag.traffic import InMemoryCluster
import threading

class Hangs(InMemoryCluster):
    def partitions(self):
        threading.Event().wait()

with HangTimer(0.5) as timer:
    Observer(Hangs({}), ObserverRules(), SystemClock(), timer).cycle()
"""


def test_a_question_that_does_not_come_back_ends_the_process_and_says_where() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGALRM
    assert "in partitions" in ended.stderr


def test_no_timer_runs_between_two_questions() -> None:
    with HangTimer(60.0) as timer:
        Observer(InMemoryCluster({P: log(10)}), ObserverRules(), ManualClock(), timer).cycle()
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
