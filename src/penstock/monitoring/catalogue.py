"""Every metric of a worker. Code counts by these, the reference is written from them, rules and dashboards name them.

Effects (`penstock_records_total` and what else says "committed") move with the commit and not before: what a discarded
transaction had done is not in them. Attempts, errors and aborts move at once.
"""

from __future__ import annotations

from typing import Final

from penstock.monitoring.client_catalogue import CLIENTS, SCHEMAS
from penstock.monitoring.metric import Metric
from penstock.monitoring.process_catalogue import PROCESS

SHORT_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
TRANSACTION_S: Final = (*SHORT_S, 30, 60)
LONG_S: Final = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
LATENCY_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
RECORDS: Final = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000)

OUTCOMES: Final = ("ok", "filtered", "dlq", "parked")
STAGES: Final = (
    "poll", "decode", "process", "state", "encode", "produce", "changelog", "flush", "offsets", "commit",
)  # fmt: skip
RETRIES_OF: Final = ("record", "parked", "offsets", "commit")
STATUSES: Final = ("running", "waiting", "stopped", "restoring")
ABORTS: Final = ("rebalance", "fenced", "in_doubt", "broker_error", "refused", "timeout", "torn", "other")
RECORD_STAGES: Final = ("decode", "validate", "process", "state", "encode", "sink", "convert", "position")

BUILD_INFO: Final = Metric(
    "penstock_build_info",
    "gauge",
    ("pipeline", "version", "commit", "librdkafka"),
    "1 for each worker that runs; penstock's version, and `monitoring.commit`: what it runs.",
)
GROUP_INFO: Final = Metric(
    "penstock_group_info",
    "gauge",
    ("pipeline", "cluster", "group", "isolation"),
    "1; joins what is known of a pipeline with what is known of its consumer group.",
)
RECORDS_COMMITTED: Final = Metric(
    "penstock_records_total",
    "counter",
    ("pipeline", "topic", "outcome"),
    "Input records whose effects are committed, by what became of them. A `parked` one counts again when it leaves.",
    values=(("outcome", OUTCOMES),),
)
RECORDS_ATTEMPTED: Final = Metric(
    "penstock_records_attempted_total",
    "counter",
    ("pipeline", "topic"),
    "Input records that were processed at all; more than committed ones where transactions were discarded.",
)
INPUT_BYTES: Final = Metric(
    "penstock_input_bytes_total",
    "counter",
    ("pipeline", "topic"),
    "Keys and values of input records whose effects are committed.",
)
OUTPUT_RECORDS: Final = Metric(
    "penstock_output_records_total", "counter", ("pipeline", "topic"), "Committed output records, by output topic."
)
OUTPUT_BYTES: Final = Metric(
    "penstock_output_bytes_total",
    "counter",
    ("pipeline", "topic"),
    "Keys and values of committed output records, before compression.",
)
LATE_RECORDS: Final = Metric(
    "penstock_late_records_total",
    "counter",
    ("pipeline", "topic"),
    "Committed records whose event time lies before the stream time that their task had reached.",
)
DLQ_RECORDS: Final = Metric(
    "penstock_dlq_records_total",
    "counter",
    ("pipeline", "topic", "stage"),
    "Committed dead letters, by the topic they were read from and the stage at which they failed.",
    values=(("stage", RECORD_STAGES),),
)
DLQ_BACKLOG: Final = Metric(
    "penstock_dlq_backlog_records",
    "gauge",
    ("pipeline", "dlq_topic"),
    "Dead letters that are neither redriven nor dropped. Told by one worker of the pipeline.",
)
DLQ_OLDEST: Final = Metric(
    "penstock_dlq_oldest_record_timestamp_seconds",
    "gauge",
    ("pipeline", "dlq_topic"),
    "When the oldest of these failed; 0 where there is none.",
)
DLQ_SETTLED: Final = Metric(
    "penstock_dlq_settled_records",
    "gauge",
    ("pipeline", "dlq_topic", "outcome"),
    "Dead letters that were redriven or dropped, and not reopened. Told by the same worker.",
    values=(("outcome", ("redriven", "dropped")),),
)
ERRORS: Final = Metric(
    "penstock_errors_total",
    "counter",
    ("pipeline", "stage", "error"),
    "Records that failed, committed or not, by stage and class of error; classes that are not known are `other`.",
    values=(("stage", RECORD_STAGES),),
)
RETRIES: Final = Metric(
    "penstock_retries_total",
    "counter",
    ("pipeline", "op", "reason"),
    "What is tried again, and for which error: a `record` that its task waits in front of, a `parked` one, what ends a "
    "transaction (`offsets`, `commit`; the reason is Kafka's name of its answer). Counted when it fails.",
    values=(("op", RETRIES_OF),),
)
EVENT_LATENCY: Final = Metric(
    "penstock_event_latency_seconds",
    "histogram",
    ("pipeline", "clock"),
    "From a record's time to the commit that made its effects visible: Kafka's timestamp (`append`), or its own "
    "`event` time where the source has one.",
    LATENCY_S,
    (("clock", ("append", "event")),),
)
STAGE_DURATION: Final = Metric(
    "penstock_stage_duration_seconds",
    "histogram",
    ("pipeline", "stage"),
    "Time of a batch in a stage: `state` are the operators with a store, `process` all others.",
    SHORT_S,
    (("stage", STAGES),),
)
TRANSACTION_RECORDS: Final = Metric(
    "penstock_transaction_records", "histogram", ("pipeline",), "Input records in a committed transaction.", RECORDS
)
TRANSACTIONS: Final = Metric(
    "penstock_transactions_total",
    "counter",
    ("pipeline", "outcome"),
    "Transactions with work in them that have ended, by how; those that only claim a task are left out.",
    values=(("outcome", ("committed", "aborted", "fenced")),),
)
TRANSACTIONS_IN_DOUBT: Final = Metric(
    "penstock_transactions_in_doubt_total",
    "counter",
    ("pipeline",),
    "Commits whose outcome was asked of the log; each of them is counted by its outcome as well.",
)
TRANSACTION_ABORTS: Final = Metric(
    "penstock_transaction_aborts_total",
    "counter",
    ("pipeline", "reason"),
    "Discarded transactions, by why.",
    values=(("reason", ABORTS),),
)
TRANSACTION_DURATION: Final = Metric(
    "penstock_transaction_duration_seconds",
    "histogram",
    ("pipeline", "outcome"),
    "From begin to the end of commit or discard; claims included.",
    TRANSACTION_S,
    (("outcome", ("committed", "aborted")),),
)
TRANSACTION_OPEN: Final = Metric(
    "penstock_transaction_open_timestamp_seconds",
    "gauge",
    ("pipeline",),
    "When the open transaction began; 0 while none is open.",
)
PRODUCER_ROTATIONS: Final = Metric(
    "penstock_producer_rotations_total",
    "counter",
    ("pipeline",),
    "Producers that were replaced between two transactions, because a request may have been sent twice.",
)
ASSIGNED_PARTITIONS: Final = Metric(
    "penstock_assigned_partitions", "gauge", ("pipeline", "topic"), "Input partitions that this worker has."
)
EXPECTED_PARTITIONS: Final = Metric(
    "penstock_expected_partitions",
    "gauge",
    ("pipeline", "topic"),
    "Partitions of an input topic; where the workers have fewer together, some are read by nobody.",
)
PARTITION_TIME_LAG: Final = Metric(
    "penstock_partition_time_lag_seconds",
    "gauge",
    ("pipeline", "topic", "partition"),
    "At most the age of the next record to be processed; 0 where nothing waits. None while it is not known.",
)
TASKS: Final = Metric(
    "penstock_tasks",
    "gauge",
    ("pipeline", "status"),
    "Tasks of this worker. One that waits tries again by itself; one that is stopped stands until an operator acts.",
    values=(("status", STATUSES),),
)
PARKED_KEYS: Final = Metric(
    "penstock_parked_keys",
    "gauge",
    ("pipeline", "task_group"),
    "Keys whose records are parked: the first of each is tried again, the others wait behind it.",
)
PARKED_RECORDS: Final = Metric("penstock_parked_records", "gauge", ("pipeline", "task_group"), "Records of these keys.")
PARKED_BYTES: Final = Metric(
    "penstock_parked_bytes",
    "gauge",
    ("pipeline", "task_group"),
    "Values and headers of these records; all of it is in memory. At `parking.max_bytes` of a task the task waits.",
)
PARKED_OLDEST: Final = Metric(
    "penstock_parked_oldest_record_timestamp_seconds",
    "gauge",
    ("pipeline", "task_group"),
    "When the first of these keys' records that are tried again failed first; 0 where there is none.",
)
BUFFERED_RECORDS: Final = Metric(
    "penstock_buffered_records", "gauge", ("pipeline",), "Records that were fetched and not yet processed."
)
PAUSED_PARTITIONS: Final = Metric(
    "penstock_paused_partitions", "gauge", ("pipeline",), "Partitions not fetched, since enough of them is buffered."
)
REBALANCES: Final = Metric(
    "penstock_rebalances_total",
    "counter",
    ("pipeline", "kind"),
    "Rebalance callbacks.",
    values=(("kind", ("assigned", "revoked", "lost")),),
)
REBALANCE_DURATION: Final = Metric(
    "penstock_rebalance_duration_seconds",
    "histogram",
    ("pipeline",),
    "From partitions that went to the first commit of records behind that.",
    LONG_S,
)
LAST_POLL: Final = Metric(
    "penstock_last_poll_timestamp_seconds",
    "gauge",
    ("pipeline",),
    "When the loop last polled; 0 before the first time.",
)
LAST_COMMIT: Final = Metric(
    "penstock_last_commit_timestamp_seconds",
    "gauge",
    ("pipeline",),
    "When a transaction with work was last committed; 0 before the first.",
)
MAX_POLL_INTERVAL: Final = Metric(
    "penstock_max_poll_interval_seconds",
    "gauge",
    ("pipeline",),
    "A worker that does not poll for so long is taken for dead by its group.",
)
WATERMARK: Final = Metric(
    "penstock_watermark_timestamp_seconds",
    "gauge",
    ("pipeline", "task_group"),
    "Stream time of the group's task that is furthest behind; none before it has begun.",
)
STATE_ENTRIES: Final = Metric(
    "penstock_state_entries", "gauge", ("pipeline", "store"), "Committed entries of a store, in this worker's tasks."
)
STATE_BYTES: Final = Metric(
    "penstock_state_bytes",
    "gauge",
    ("pipeline", "store"),
    "Keys and values of these entries, as they are stored; what Python needs around them is not in it.",
)
RESTORE_REMAINING: Final = Metric(
    "penstock_state_restore_remaining_records",
    "gauge",
    ("pipeline", "task_group"),
    "Offsets of changelogs that restoring tasks have still to read; none while nothing restores.",
)
RESTORE_ETA: Final = Metric(
    "penstock_state_restore_eta_seconds",
    "gauge",
    ("pipeline", "task_group"),
    "How long restores still take at their pace so far, of the one that takes longest; none while that is not known.",
)
RESTORE_DURATION: Final = Metric(
    "penstock_state_restore_duration_seconds",
    "histogram",
    ("pipeline",),
    "From the assignment of a task to its state being back.",
    LONG_S,
)
CHECKPOINTS: Final = Metric(
    "penstock_checkpoints_total",
    "counter",
    ("pipeline", "outcome"),
    "Checkpoints of tasks, written to disk or not.",
    values=(("outcome", ("written", "failed")),),
)
CHECKPOINT_DURATION: Final = Metric(
    "penstock_checkpoint_duration_seconds",
    "histogram",
    ("pipeline",),
    "Time of writing a checkpoint, waiting for the disk included.",
    LONG_S,
)
CHECKPOINT_SIZE: Final = Metric(
    "penstock_checkpoint_size_bytes", "gauge", ("pipeline", "task_group"), "Checkpoint files of this worker's tasks."
)
CHECKPOINT_SUCCESS: Final = Metric(
    "penstock_checkpoint_last_success_timestamp_seconds",
    "gauge",
    ("pipeline",),
    "Since when there is committed state that is not on disk, of the task furthest behind; none without state.",
)
CHECKPOINT_INTERVAL: Final = Metric(
    "penstock_checkpoint_interval_seconds", "gauge", ("pipeline",), "How often state is to be written to disk."
)
SLO_TIME_LAG: Final = Metric(
    "penstock_slo_time_lag_seconds", "gauge", ("pipeline",), "The objective: a time lag above this hurts users."
)

WORKER: Final = (
    BUILD_INFO, GROUP_INFO,
    RECORDS_COMMITTED, RECORDS_ATTEMPTED, INPUT_BYTES, OUTPUT_RECORDS, OUTPUT_BYTES, LATE_RECORDS,
    DLQ_RECORDS, DLQ_BACKLOG, DLQ_OLDEST, DLQ_SETTLED, ERRORS, RETRIES,
    EVENT_LATENCY, STAGE_DURATION,
    TRANSACTION_RECORDS, TRANSACTIONS, TRANSACTIONS_IN_DOUBT, TRANSACTION_ABORTS, TRANSACTION_DURATION,
    TRANSACTION_OPEN, PRODUCER_ROTATIONS,
    ASSIGNED_PARTITIONS, EXPECTED_PARTITIONS, PARTITION_TIME_LAG, TASKS,
    PARKED_KEYS, PARKED_RECORDS, PARKED_BYTES, PARKED_OLDEST,
    BUFFERED_RECORDS, PAUSED_PARTITIONS,
    REBALANCES, REBALANCE_DURATION,
    LAST_POLL, LAST_COMMIT, MAX_POLL_INTERVAL, WATERMARK,
    STATE_ENTRIES, STATE_BYTES, RESTORE_REMAINING, RESTORE_ETA, RESTORE_DURATION,
    CHECKPOINTS, CHECKPOINT_DURATION, CHECKPOINT_SIZE, CHECKPOINT_SUCCESS, CHECKPOINT_INTERVAL,
    SLO_TIME_LAG,
    *CLIENTS, *SCHEMAS,
    *PROCESS,
)  # fmt: skip
"""All metrics of a worker, in the order of the reference."""
