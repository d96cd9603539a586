"""The proof as a page of the reference."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime

from penstock.monitoring.shipped.dashboards import DASHBOARDS
from tests.servers.faster import TIMES_FASTER
from tests.servers.live.faults import FAULTS
from tests.servers.live.proof import Proof, Row

_HEAD = """<!-- Written by `make live ARGS=--write`; run that, do not change this page. -->
# The live proof of the monitoring

`make live` runs Kafka, a schema registry, two pipelines with two workers each, a producer, the lag exporter, and
Prometheus and Alertmanager with what `monitoring/` ships, and does to them what goes wrong in life. Rules and routes
are generated at 1/{times} of their times: a range of five minutes has five seconds. Scrapes, evaluations and cycles of
the lag exporter come every second, instead of every fifteen; what asks how old such a cycle is goes at 1/15. Each fault
has to fire exactly the alerts that it is said to fire; all have to be over once it is mended, and each query of each
panel has to give something at some time.

Run on {day}, on {machine}; it took {minutes:.0f} min.
"""
ONLY_IN_PROMTOOL = {
    "ProducerQueueFull": "brokers that take records more slowly than they come, for longer than a transaction may last",
    "RebalanceStorm": "more than six rebalances a worker in ten seconds, which is less than it takes a worker to start",
    "RestoreStuck": "a changelog that cannot be read on, while everything else can",
    "InputSilent": "a week of history, or 168 minutes",
    "WastedWork": "work that is discarded for longer than any of these faults takes",
}
"""Alerts that no fault fires, and what they would need; `tests/servers/test_alert_rules.py` fires them all."""


def page(proof: Proof) -> str:
    """The page."""
    return "\n".join(
        [
            _HEAD.format(
                times=TIMES_FASTER,
                day=datetime.now(UTC).date(),
                machine=f"{platform.machine()}, {_cores()} cores that other programs used as well",
                minutes=proof.seconds / 60,
            ),
            *_faults(proof),
            *_panels(proof),
            *_left(),
            *_pictures(proof),
            last_line(proof),
            "",
        ]
    )


def last_line(proof: Proof) -> str:
    """What all of it comes to; an alert that several faults fire counts once for each."""
    fired = sum(row.fired_s is not None for row in proof.rows)
    over = sum(row.over_s is not None for row in proof.rows)
    empty = sum(where.startswith("penstock-") for where in proof.always_empty)
    return f"{fired} alerts fired, {over} resolved, {proof.panels - empty} of {proof.panels} panels filled"


def findings(proof: Proof) -> Iterator[str]:
    """What is not as it is said to be."""
    for row in proof.rows:
        name = f"{row.fault}: {row.alert[0]} of {row.alert[1] or 'nobody'}"
        if not row.is_expected:
            yield f"{name} fired and was not to"
        elif row.fired_s is None:
            yield f"{name} did not fire"
        elif row.over_s is None:
            yield f"{name} was not over"
    for where in proof.always_empty:
        yield f"{where}: always empty"


def _faults(proof: Proof) -> Iterator[str]:
    yield "## Faults\n"
    yield "| fault | alert | of | fires after | for | told |\n|---|---|---|--:|--:|---|"
    for row in proof.rows:
        alert = f"`{row.alert[0]}`{'' if row.is_expected else ', unasked'}"
        cells = (row.fault, alert, row.alert[1], _seconds(row.fired_s), _seconds(row.over_s), _told(row))
        yield f"| {' | '.join(cells)} |"
    yield "\n| fault | is |\n|---|---|"
    yield from (f"| {fault.name} | {fault.what} |" for fault in FAULTS)
    yield (
        "\n*Told* are the receivers that a webhook of Alertmanager reached, with the routes that are shipped. "
        "Each page was\n"
        "waited for; nobody is told of a ticket while a page of the same pipeline fires, or when it is over before\n"
        "Alertmanager's next word on the same alert. `FreshnessBurnSlow` looks back for three days, here 72 minutes,\n"
        "and is over when the last six hours, here minutes, were good.\n"
    )


def _panels(proof: Proof) -> Iterator[str]:
    yield "## Panels that are empty while all is well\n\n| panel | first seen filled during |\n|---|---|"
    yield from (f"| {where} | {by} |" for where, by in sorted(proof.filled_by.items()))
    yield from (f"| {where} | nothing here |" for where in proof.always_empty)
    yield ""


def _left() -> Iterator[str]:
    yield "## Shown by promtool only\n\n| alert | would need |\n|---|---|"
    yield from (f"| {name} | {needs} |" for name, needs in sorted(ONLY_IN_PROMTOOL.items()))
    yield "\n`Watchdog` always fires and is never over.\n"


def _pictures(proof: Proof) -> Iterator[str]:
    yield "## The dashboards during this proof\n"
    yield "Drawn from what Prometheus answered their queries, with the components that Grafana is made of, by"
    yield "`monitoring/pictures`. Tables and the heat map are drawn by hand: the one comes up in Grafana only, the"
    yield "other is not among the published components.\n"
    yield from (f"![{dashboard.title}](../pictures/{dashboard.uid}.png)\n" for dashboard in DASHBOARDS)
    yield "## In all\n"
    yield from (f"Not as it should be: {each}.\n" for each in findings(proof))


def _seconds(number: float | None) -> str:
    return "never" if number is None else f"{number:.0f} s"


def _told(row: Row) -> str:
    return ", ".join(sorted(row.told)) or "nobody"


def _cores() -> int:
    return os.cpu_count() or 1
