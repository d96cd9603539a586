"""What is told of any process of ours: worker, producer, lag exporter."""

from __future__ import annotations

from typing import Final

from penstock.monitoring.metric import Metric

GENERATIONS: Final = ("0", "1", "2")
_GENERATION: Final = (("generation", GENERATIONS),)

CPU: Final = Metric("process_cpu_seconds_total", "counter", (), "User and system time of this process.")
MEMORY: Final = Metric("process_resident_memory_bytes", "gauge", (), "Memory that this process holds.")
OPEN_FILES: Final = Metric("process_open_fds", "gauge", (), "Open file descriptors of this process.")
STARTED: Final = Metric("process_start_time_seconds", "gauge", (), "When this process began.")
GC_RUNS: Final = Metric(
    "python_gc_collections_total",
    "counter",
    ("generation",),
    "How often Python has looked for garbage that refers to itself; all else is freed at once. 2 looks at everything.",
    values=_GENERATION,
)
GC_COLLECTED: Final = Metric(
    "python_gc_objects_collected_total",
    "counter",
    ("generation",),
    "Objects that were freed by that.",
    values=_GENERATION,
)
GC_UNCOLLECTABLE: Final = Metric(
    "python_gc_objects_uncollectable_total",
    "counter",
    ("generation",),
    "Objects that were found to be garbage and could not be freed: a leak.",
    values=_GENERATION,
)

PROCESS: Final = (CPU, MEMORY, OPEN_FILES, STARTED, GC_RUNS, GC_COLLECTED, GC_UNCOLLECTABLE)
