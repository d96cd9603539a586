"""What a simulated broker deletes by itself."""

from __future__ import annotations

from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.partition import SimulatedPartition
from penstock.testing.cluster.retention import CHECK_INTERVAL_S

HOUR_MS = 3_600_000


def filled(config: dict[str, str], ages_ms: list[int]) -> tuple[SimulatedCluster, SimulatedPartition]:
    """One record of ten bytes for each age."""
    cluster = SimulatedCluster()
    cluster.create("flights", config=config)
    for age_ms in ages_ms:
        cluster.append("flights", None, b"ten bytes.", timestamp_ms=cluster.clock.now_ms() - age_ms)
    return cluster, cluster.partition(("flights", 0))


def test_what_is_too_old_goes_at_the_next_check_and_not_before() -> None:
    cluster, log = filled({"retention.ms": f"{HOUR_MS}"}, [2 * HOUR_MS, 2 * HOUR_MS, 0])
    cluster.clock.sleep(CHECK_INTERVAL_S - 1.0)
    assert log.begin == 0
    cluster.clock.sleep(2.0)
    assert (log.begin, log.high_watermark) == (2, 3)


def test_it_goes_from_the_front_only() -> None:
    cluster, log = filled({"retention.ms": f"{HOUR_MS}"}, [0, 2 * HOUR_MS])
    cluster.retention.apply()
    assert log.begin == 0


def test_a_week_is_kept_where_nothing_is_said() -> None:
    cluster, log = filled({}, [0])
    cluster.clock.sleep(7 * 24 * 3600 - CHECK_INTERVAL_S)
    assert log.begin == 0
    cluster.clock.sleep(2 * CHECK_INTERVAL_S)
    assert log.begin == 1


def test_compacted_topics_and_those_that_keep_everything_are_spared() -> None:
    for config in ({"cleanup.policy": "compact", "retention.ms": "1"}, {"retention.ms": "-1"}):
        cluster, log = filled(config, [2 * HOUR_MS])
        cluster.retention.apply()
        assert log.begin == 0


def test_what_is_open_stays_and_what_is_behind_it() -> None:
    cluster, log = filled({"retention.ms": f"{HOUR_MS}"}, [2 * HOUR_MS])
    log.append(None, b"open", 1, producer_id=7, epoch=0)
    cluster.append("flights", None, b"behind", timestamp_ms=1)
    cluster.retention.apply()
    assert log.begin == 1
    log.mark(7, 0, 1, commit=True)
    cluster.retention.apply()
    assert log.begin == log.high_watermark


def test_as_many_bytes_as_are_asked_for_are_left() -> None:
    cluster, log = filled({"retention.bytes": "25", "retention.ms": "-1"}, [0] * 5)
    cluster.retention.apply()
    assert log.high_watermark - log.begin == 3
