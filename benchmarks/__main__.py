"""Run the benchmarks: `make bench`, or `make bench ARGS="codec"` for one of them."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
from pathlib import Path

from benchmarks.measure import Row

JOBS = ("codec", "publishing", "pipelines", "latency", "workers", "metrics", "restore", "state")
HERE = Path(__file__).parent
LATEST = HERE / "latest.json"
PAGE = HERE.parent / "docs" / "reference" / "benchmarks.md"


def main() -> None:
    """Run the jobs named, or all; write `latest.json` and the page in the docs."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("jobs", nargs="*", choices=[[], *JOBS], help="which; all when left out")
    chosen = parser.parse_args().jobs or JOBS
    rows: list[Row] = []
    for name in chosen:
        print(f"{name} ...", flush=True)
        job_rows: list[Row] = importlib.import_module(f"benchmarks.{name}").run()
        for row in job_rows:
            print("  " + _line(row), flush=True)
        rows += job_rows
    if tuple(chosen) == JOBS:
        LATEST.write_text(json.dumps(rows, indent=2) + "\n")
        PAGE.write_text(page(rows))


def page(rows: list[Row]) -> str:
    """The page in the docs."""
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench`; do not edit. Each job runs its contestants in turn, several rounds, after a warm-up;",
        "the figures are medians, the ratio is the median of the rounds' own ratios to the job's first contestant (in",
        "records per second, for latency in milliseconds; above 1 is faster). Trust the ratios: absolute figures move",
        "with the machine. Of the pipelines, the *cpu ratio to baseline* compares records per second of processor time",
        "with the bare loop's, in pairs that ran beside each other; *cpu ratio lowest* is the least of them.",
        "",
        f"Measured on {os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}.",
        "",
        "| job | system | records/s | CPU µs per record | ratio | rounds | more |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    lines += [
        f"| {r['job']} | {r['system']} | {r['records_per_s']:,.0f} | {r['cpu_us_per_record']:.2f} "
        f"| {r['ratio_to_baseline']:.2f} | {r['runs']} | {_more(r)} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def _more(row: Row) -> str:
    """What only some jobs tell."""
    told = [(name, value) for name, value in row.items() if name in Row.__optional_keys__]
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told)


def _line(row: Row) -> str:
    return (
        f"{row['job']:<28} {row['system']:<32} {row['records_per_s']:>12,.0f}/s "
        f"{row['cpu_us_per_record']:>8.2f} µs  x{row['ratio_to_baseline']:.2f}  {_more(row)}"
    )


if __name__ == "__main__":
    main()
