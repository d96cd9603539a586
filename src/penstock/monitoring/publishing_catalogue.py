"""Every metric of a producer, `penstock produce`."""

from __future__ import annotations

from typing import Final

from penstock.monitoring.catalogue import RECORD_STAGES, SHORT_S
from penstock.monitoring.metric import Metric
from penstock.monitoring.process_catalogue import PROCESS

OUTCOMES: Final = ("ok", "dlq")
STAGES: Final = ("convert", "flush", "commit")

INFO: Final = Metric(
    "penstock_publishing_info",
    "gauge",
    ("producer", "topic", "version", "librdkafka"),
    "1 for each producer that runs; what it runs on, and where it publishes.",
)
ROWS: Final = Metric(
    "penstock_publishing_rows_total",
    "counter",
    ("producer", "outcome"),
    "Rows of the source that are committed: as records, or as dead letters.",
    values=(("outcome", OUTCOMES),),
)
REJECTS: Final = Metric(
    "penstock_publishing_rejects_total",
    "counter",
    ("producer", "stage", "error"),
    "Committed dead letters, by the stage at which the row failed and the class of the error.",
    values=(("stage", RECORD_STAGES),),
)
CURSOR_ROWS: Final = Metric(
    "penstock_publishing_cursor_rows",
    "gauge",
    ("producer",),
    "Rows up to the committed cursor, over all lives of the producer; none before the cursor is read.",
)
SOURCE_ROWS: Final = Metric(
    "penstock_publishing_source_rows",
    "gauge",
    ("producer",),
    "Rows that the source has in all, counted at the start; none where it does not say.",
)
TRANSACTIONS: Final = Metric(
    "penstock_publishing_transactions_total",
    "counter",
    ("producer", "outcome"),
    "Transactions with rows in them that have ended, by how.",
    values=(("outcome", ("committed", "aborted")),),
)
ROTATIONS: Final = Metric(
    "penstock_publishing_rotations_total",
    "counter",
    ("producer",),
    "Handles that were replaced between two transactions, because a request may have been sent twice.",
)
RETRIES: Final = Metric(
    "penstock_publishing_retries_total",
    "counter",
    ("producer", "reason"),
    "Commits that were not answered and asked for again, by Kafka's name of what they were answered with.",
)
STAGE_DURATION: Final = Metric(
    "penstock_publishing_stage_duration_seconds",
    "histogram",
    ("producer", "stage"),
    "Time of converting and encoding a batch of rows, and of the two steps that end a transaction.",
    SHORT_S,
    (("stage", STAGES),),
)
LAST_COMMIT: Final = Metric(
    "penstock_publishing_last_commit_timestamp_seconds",
    "gauge",
    ("producer",),
    "When a transaction with rows was last committed; 0 before the first.",
)

PUBLISHING: Final = (
    INFO, ROWS, REJECTS, CURSOR_ROWS, SOURCE_ROWS, TRANSACTIONS, ROTATIONS, RETRIES, STAGE_DURATION, LAST_COMMIT,
    *PROCESS,
)  # fmt: skip
"""All metrics of a producer, in the order of the reference."""
