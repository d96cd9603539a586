"""The workers as processes, and their Kafka clients; then each worker by itself."""

from __future__ import annotations

from typing import Final

from penstock.monitoring import catalogue as c
from penstock.monitoring import client_catalogue as k
from penstock.monitoring import process_catalogue as o
from penstock.monitoring.shipped.dashboards.queries import PIPELINE, P, rate
from penstock.monitoring.shipped.panels import Dashboard, Panel, Query, Row

_INSTANCE: Final = {"instance": f"label_values({c.BUILD_INFO}{{{P}}}, instance)"}
_ONE: Final = 'job="penstock",instance=~"$instance"'

PROCESSES: Final = Dashboard(
    "penstock-processes",
    "penstock: processes",
    (
        Row(
            "Workers",
            (
                Panel(
                    "Version",
                    "Of penstock, of the project where `monitoring.commit` says it, and of Kafka's client.",
                    "short",
                    (Query(f"count by (pipeline, version, commit, librdkafka) ({c.BUILD_INFO}{{{P}}})"),),
                    "table",
                ),
                Panel(
                    "Last poll",
                    "Past half of the longest interval allowed, the group is about to take its partitions away.",
                    "s",
                    (
                        Query(f"time() - ({c.LAST_POLL}{{{P}}} > 0)", "{{pipeline}} {{instance}}"),
                        Query(f"max({c.MAX_POLL_INTERVAL}{{{P}}})", "longest allowed"),
                    ),
                ),
                Panel(
                    "Records in hand",
                    "Fetched and not processed.",
                    "short",
                    (Query(f"sum by (pipeline, instance) ({c.BUFFERED_RECORDS}{{{P}}})", "{{pipeline}} {{instance}}"),),
                ),
                Panel(
                    "Not fetched",
                    "Partitions of which enough is in hand: the operators are slower than the fetches.",
                    "short",
                    (Query(f"{c.PAUSED_PARTITIONS}{{{P}}}", "{{pipeline}} {{instance}}"),),
                ),
                Panel(
                    "Runs since",
                    "A short time, again and again, is a crash loop.",
                    "s",
                    (Query(f'time() - {o.STARTED}{{job="penstock"}}', "{{instance}}"),),
                ),
            ),
        ),
        Row(
            "Their Kafka clients",
            (
                Panel(
                    "Producer's queue",
                    "Of all that it may hold: what no broker has yet.",
                    "percentunit",
                    (
                        Query(
                            f"{k.QUEUE_MESSAGES}{{{P}}} / {k.QUEUE_LIMIT}{{{P}}}",
                            "{{pipeline}} {{instance}}",
                        ),
                    ),
                    warn=0.5,
                    bad=0.8,
                ),
                Panel(
                    "Bytes with the producer",
                    "Keys and values that no broker has yet.",
                    "bytes",
                    (Query(f"{k.QUEUE_BYTES}{{{P}}}", "{{pipeline}} {{instance}}"),),
                ),
                Panel(
                    "Delivery of a record",
                    "From the worker to the broker's acknowledgement: in the queue until it stands in a request, on "
                    "the way to the socket, until the answer. Each of the slowest broker; 99 of 100 are faster.",
                    "s",
                    (
                        Query(
                            f"max by (pipeline, instance, stage) ({k.DELIVERY}{{{P}}})",
                            "{{pipeline}} {{instance}} {{stage}}",
                        ),
                    ),
                ),
                Panel(
                    "To a broker and back",
                    "99 of 100 requests are faster; of the slowest broker.",
                    "s",
                    (
                        Query(
                            f"max by (pipeline, instance, client) ({k.BROKER_RTT}{{{P}}})",
                            "{{pipeline}} {{instance}} {{client}}",
                        ),
                    ),
                ),
                Panel(
                    "Held back by brokers",
                    "How long they had a client wait, at most: a quota is used up.",
                    "s",
                    (Query(f"max by (pipeline, client) ({k.THROTTLE}{{{P}}})", "{{pipeline}} {{client}}"),),
                    warn=0.1,
                ),
                Panel(
                    "Requests without an answer, and sent again",
                    "Brokers that are slow or away, or a network that loses packets.",
                    "cps",
                    (
                        Query(rate(k.REQUEST_TIMEOUTS, "pipeline, client"), "{{pipeline}} {{client}} no answer"),
                        Query(rate(k.REQUEST_RETRIES, "pipeline, client"), "{{pipeline}} {{client}} again"),
                    ),
                ),
            ),
        ),
        Row(
            "Each worker by itself: $instance",
            (
                Panel(
                    "CPU",
                    "Cores.",
                    "short",
                    (Query(f"rate({o.CPU}{{{_ONE}}}[$__rate_interval])", "{{instance}}"),),
                    warn=0.8,
                    bad=0.95,
                ),
                Panel("Memory", "Resident.", "bytes", (Query(f"{o.MEMORY}{{{_ONE}}}", "{{instance}}"),)),
                Panel(
                    "Open files",
                    "And sockets.",
                    "short",
                    (Query(f"{o.OPEN_FILES}{{{_ONE}}}", "{{instance}}"),),
                ),
                Panel(
                    "Looks for garbage",
                    "By generation; the oldest one, 2, looks at all objects that were made since the start, so that a "
                    "large state makes it long.",
                    "cps",
                    (Query(f"rate({o.GC_RUNS}{{{_ONE}}}[$__rate_interval])", "{{instance}} {{generation}}"),),
                ),
                Panel(
                    "Garbage that refers to itself",
                    "Objects that such looks have freed; many of them are user code that makes circles. What could not "
                    "be freed is a leak.",
                    "cps",
                    (
                        Query(
                            f"sum by (instance) (rate({o.GC_COLLECTED}{{{_ONE}}}[$__rate_interval]))",
                            "{{instance}} freed",
                        ),
                        Query(
                            f"sum by (instance) (rate({o.GC_UNCOLLECTABLE}{{{_ONE}}}[$__rate_interval]))",
                            "{{instance}} not to be freed",
                        ),
                    ),
                    width=24,
                ),
            ),
            repeat="instance",
        ),
    ),
    PIPELINE | _INSTANCE,
)
