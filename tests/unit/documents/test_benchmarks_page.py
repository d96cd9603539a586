"""The page with the benchmarks' figures: what only some jobs tell stands in its last column."""

from __future__ import annotations

from benchmarks.__main__ import page
from benchmarks.measure import Row


def test_what_only_some_jobs_tell_is_told() -> None:
    row = Row(job="j", system="s", records_per_s=1, cpu_us_per_record=2, ratio_to_baseline=1, runs=3, commit_ms_p50=4.5)
    assert page([row]).splitlines()[-1] == "| j | s | 1 | 2.00 | 1.00 | 3 | commit ms p50 4.5 |"
