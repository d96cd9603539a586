"""What `penstock top` makes of two looks at a worker."""

from __future__ import annotations

import pytest

from penstock.monitoring import catalogue as c
from penstock.monitoring import process_catalogue
from penstock.monitoring.exposition import Family, one, render
from penstock.monitoring.overview import Told, row
from penstock.monitoring.scrape import read


def told(at_s: float, records: int, *, started_s: float = 5.0, ready: bool = True, lag_s: float | None = 3.5) -> Told:
    families = [
        Family(c.RECORDS_COMMITTED, [(("p", "in", "ok"), records), (("p", "in", "dlq"), 2)]),
        one(process_catalogue.STARTED, started_s),
        one(c.TASKS, 2, "p", "running"),
        one(c.DLQ_RECORDS, 2, "p", "in", "decode"),
        Family(c.PARTITION_TIME_LAG, [] if lag_s is None else [(("p", "in", "0"), lag_s), (("p", "in", "1"), 0.0)]),
    ]
    status = {"ready": ready, "reason": "ok" if ready else "restoring: in[0]"}
    return Told(read(render(families).decode(), at_s), status)


def test_rates_are_what_came_between_two_looks() -> None:
    made = row("p.a.0", told(110, 1_500), told(100, 500))
    assert (made.state, made.tasks, made.records_per_s, made.time_lag_s, made.dead_letters) == (
        "ready",
        2,
        100.0,
        3.5,
        2,
    )


def test_a_worker_that_began_anew_has_no_rate_and_none_that_is_negative() -> None:
    assert row("p.a.0", told(110, 20, started_s=105), told(100, 500)).records_per_s is None
    assert row("p.a.0", told(110, 20), None).records_per_s is None


def test_what_is_not_known_is_not_shown_as_nothing() -> None:
    assert row("p.a.0", told(110, 20, lag_s=None), None).time_lag_s is None
    assert row("p.a.0", None, told(100, 500)).state == "does not answer"
    assert row("p.a.0", told(110, 20, ready=False), None).state == "restoring: in[0]"


@pytest.mark.parametrize("label", ['a"b', "a\\b", "a\nb", "a\\nb", "a,b} 1"])
def test_labels_are_read_back_as_they_were(label: str) -> None:
    scrape = read(render([one(c.ASSIGNED_PARTITIONS, 4, "p", label)]).decode(), 0)
    assert scrape.numbers(c.ASSIGNED_PARTITIONS, topic=label) == [4]
