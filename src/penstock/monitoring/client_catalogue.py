"""What is told of a worker's Kafka clients, and of the schema registry as they see it."""

from __future__ import annotations

from typing import Final

from penstock.monitoring.metric import Metric

CLIENT_KINDS: Final = ("producer", "consumer")
DELIVERY_STAGES: Final = ("queue", "socket", "answer")
REQUEST_OUTCOMES: Final = ("ok", "missing", "refused", "unavailable")
SCHEMA_REASONS: Final = ("unknown_id", "incompatible", "decode", "encode")
REQUEST_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CLIENT: Final = (("client", CLIENT_KINDS),)

QUEUE_MESSAGES: Final = Metric(
    "penstock_producer_queue_messages",
    "gauge",
    ("pipeline",),
    "Records with the producer that no broker has yet.",
)
QUEUE_LIMIT: Final = Metric(
    "penstock_producer_queue_limit_messages", "gauge", ("pipeline",), "With so many the producer takes no more."
)
QUEUE_BYTES: Final = Metric(
    "penstock_producer_queue_bytes", "gauge", ("pipeline",), "Keys and values of the records with the producer."
)
EPOCHS: Final = Metric(
    "penstock_producer_epochs_total",
    "counter",
    ("pipeline",),
    "Epochs that the producers have been given: one for each handle, and one for each bump.",
)
THROTTLE: Final = Metric(
    "penstock_client_throttle_seconds",
    "gauge",
    ("pipeline", "client"),
    "How long a broker had the client wait, at most in the last seconds: a quota is used up.",
    values=_CLIENT,
)
BROKER_RTT: Final = Metric(
    "penstock_client_broker_rtt_seconds",
    "gauge",
    ("pipeline", "client"),
    "Way of a request to the slowest broker and back; 99 of 100 are faster. None while nothing is asked.",
    values=_CLIENT,
)
DELIVERY: Final = Metric(
    "penstock_producer_delivery_latency_seconds",
    "gauge",
    ("pipeline", "stage"),
    "Way of a record from the worker to the broker's acknowledgement, in three: in the `queue` until it stands in a "
    "request, until that is with the `socket`, until the `answer`. Each of the slowest broker, where 99 of 100 are "
    "faster. None while nothing is written.",
    values=(("stage", DELIVERY_STAGES),),
)
REQUEST_RETRIES: Final = Metric(
    "penstock_client_request_retries_total", "counter", ("pipeline", "client"), "Requests sent again.", values=_CLIENT
)
REQUEST_TIMEOUTS: Final = Metric(
    "penstock_client_request_timeouts_total",
    "counter",
    ("pipeline", "client"),
    "Requests that no broker has answered.",
    values=_CLIENT,
)
REGISTRY_REQUESTS: Final = Metric(
    "penstock_schema_registry_requests_total",
    "counter",
    ("pipeline", "outcome"),
    "What the schema registry was asked: answers are kept, so in the usual case nothing.",
    values=(("outcome", REQUEST_OUTCOMES),),
)
REGISTRY_DURATION: Final = Metric(
    "penstock_schema_registry_request_duration_seconds",
    "histogram",
    ("pipeline",),
    "Time until the schema registry has answered, or was given up.",
    REQUEST_S,
)
SCHEMA_ERRORS: Final = Metric(
    "penstock_schema_errors_total",
    "counter",
    ("pipeline", "subject", "reason"),
    "Records that no schema explains and values that do not fit theirs, committed or not. A registry that is away is "
    "none.",
    values=(("reason", SCHEMA_REASONS),),
)

CLIENTS: Final = (
    QUEUE_MESSAGES, QUEUE_LIMIT, QUEUE_BYTES, EPOCHS, THROTTLE, BROKER_RTT, DELIVERY, REQUEST_RETRIES,
    REQUEST_TIMEOUTS,
)  # fmt: skip
SCHEMAS: Final = (SCHEMA_ERRORS, REGISTRY_REQUESTS, REGISTRY_DURATION)
