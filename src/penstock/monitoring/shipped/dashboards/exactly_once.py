"""How transactions end, and what that costs."""

from __future__ import annotations

from typing import Final

from penstock.monitoring import catalogue as c
from penstock.monitoring import client_catalogue as k
from penstock.monitoring.shipped.dashboards.queries import MOMENTS, PIPELINE, P, quantile, quantiles, rate
from penstock.monitoring.shipped.panels import Dashboard, Panel, Query, Row

EXACTLY_ONCE: Final = Dashboard(
    "penstock-exactly-once",
    "penstock: exactly once",
    (
        Row(
            "Transactions",
            (
                Panel(
                    "How they end",
                    "Fenced ones mean a second process of the same name, or a time-out.",
                    "cps",
                    (Query(rate(c.TRANSACTIONS, "pipeline, outcome"), "{{pipeline}} {{outcome}}"),),
                ),
                Panel(
                    "Why they are discarded",
                    "A rebalance now and then is life.",
                    "cps",
                    (
                        Query(
                            f"{rate(c.TRANSACTION_ABORTS, 'pipeline, reason')} > 0",
                            "{{pipeline}} {{reason}}",
                            "none is discarded",
                        ),
                    ),
                ),
                Panel(
                    "Asked of the log, and producers replaced",
                    "Commits that were not answered, and those after which a request may have been sent twice. Epochs "
                    "are what producers of one name are told apart by: each that replaces another takes one.",
                    "cps",
                    (
                        Query(rate(c.TRANSACTIONS_IN_DOUBT, "pipeline"), "{{pipeline}} in doubt"),
                        Query(rate(c.PRODUCER_ROTATIONS, "pipeline"), "{{pipeline}} replaced"),
                        Query(rate(k.EPOCHS, "pipeline"), "{{pipeline}} epochs"),
                    ),
                ),
                Panel(
                    "Open for",
                    "Age of the open transaction; it is discarded at its budget.",
                    "s",
                    (
                        Query(
                            f"time() - ({c.TRANSACTION_OPEN}{{{P}}} > 0)",
                            "{{pipeline}} {{instance}}",
                            "none was open at the last scrape",
                        ),
                    ),
                    warn=10,
                    bad=45,
                ),
                Panel("Duration", "From begin to its end.", "s", quantiles(c.TRANSACTION_DURATION)),
                Panel(
                    "Records in one",
                    "Few records in many transactions cost more than many in few.",
                    "short",
                    quantiles(c.TRANSACTION_RECORDS),
                ),
            ),
        ),
        Row(
            "What exactly-once costs",
            (
                Panel(
                    "Work done again",
                    "Of all that was processed, what was lost with discarded transactions.",
                    "percentunit",
                    (
                        Query(
                            f"clamp_min(1 - sum by (pipeline) (increase({c.RECORDS_COMMITTED}{{{P}}}[30m])) "
                            f"/ sum by (pipeline) (increase({c.RECORDS_ATTEMPTED}{{{P}}}[30m])), 0)",
                            "{{pipeline}}",
                        ),
                    ),
                    warn=0.05,
                    bad=0.1,
                ),
                Panel(
                    "Time by stage",
                    "`poll` is mostly waiting; `process` are operators without a store, `state` those with one.",
                    "percentunit",
                    (
                        Query(
                            f"sum by (pipeline, stage) (rate({c.STAGE_DURATION}_sum{{{P}}}[$__rate_interval]))",
                            "{{pipeline}} {{stage}}",
                        ),
                    ),
                ),
                Panel(
                    "Slowest stages",
                    "99 of 100 are faster.",
                    "s",
                    (Query(quantile(0.99, c.STAGE_DURATION, "pipeline, stage"), "{{pipeline}} {{stage}}"),),
                ),
                Panel(
                    "Tried again",
                    "Records that wait or are parked, calls that end a transaction and were not answered, and why.",
                    "cps",
                    (Query(rate(c.RETRIES, "pipeline, op, reason"), "{{pipeline}} {{op}} {{reason}}"),),
                ),
                Panel(
                    "Last commit",
                    "How long ago; a pipeline without input commits nothing.",
                    "s",
                    (Query(f"time() - ({c.LAST_COMMIT}{{{P}}} > 0)", "{{pipeline}} {{instance}}"),),
                ),
            ),
        ),
    ),
    PIPELINE,
    MOMENTS,
)
