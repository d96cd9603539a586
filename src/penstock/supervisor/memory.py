"""How much memory so many workers may need, compared with what they may have.

Bounded by configuration, for each worker: what the Kafka client holds back and sends ahead, what is in hand and in the
open transaction, and what restoring tasks read ahead. Estimated: the interpreter with the project's code, by this
process; the state, by the checkpoints on this disk. **Not bounded in bytes, and not in here**: what compressed records
become when they are unpacked, the objects that records are decoded to, global tables, and what user code keeps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigurationError
from penstock.kafka import consumer, producer, reader
from penstock.runtime.limits import WorkerLimits

if TYPE_CHECKING:
    from penstock.config import Config

KIB: Final = 1_024
MIB: Final = 1 << 20
_CLIENTS: Final = 32 * MIB
"""The clients of Kafka and of the registry with their threads, which this process does not have: measured 30 MiB."""
_BROKERS: Final = 3
"""That answer a fetch at the same time."""
_STATE_FACTOR: Final = 3
"""From a checkpoint's bytes to those of the state in memory: measured 1.1 for values of 1,000 bytes, 4.7 for 24."""


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """What so many workers may need.

    Attributes:
        workers: how many.
        parts: {what: bytes} for each worker.
        state: bytes, of all tasks together; 0 = nothing is known of them here.
        supervisor: bytes of the process that keeps them running; 0 = there is none.
    """

    workers: int
    parts: Mapping[str, int]
    state: int
    supervisor: int

    @property
    def per_worker(self) -> int:
        """Bytes of a worker, without state."""
        return sum(self.parts.values())

    @property
    def total(self) -> int:
        """Bytes of all of it."""
        return self.supervisor + self.workers * self.per_worker + self.state

    def told(self) -> str:
        """In words: `2 workers of up to 240 MiB (Python and code 60, ...), ...: 560 MiB`."""
        parts = ", ".join(f"{name} {size // MIB}" for name, size in self.parts.items())
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        told = f"{workers} of up to {self.per_worker // MIB} MiB ({parts})"
        if self.supervisor:
            told += f", supervisor {self.supervisor // MIB} MiB"
        if self.state:
            told += f", state about {self.state // MIB} MiB"
        return f"{told}: {self.total // MIB} MiB"


def memory_budget(config: Config, workers: int | None, tasks: str = "*") -> MemoryBudget:
    """What so many workers of this project may need; None = one that is its own command.

    Args:
        config: of the project.
        workers: how many.
        tasks: whose state: a pattern for folder names below `tasks` in the state directory.
    """
    kafka = config.kafka
    reading = {**kafka.client, **kafka.consumer}
    writing = {**kafka.client, **kafka.producer}
    queue = _number(reading, "queued.max.messages.kbytes", consumer.DEFAULTS) * KIB
    response = _number(reading, "fetch.max.bytes", consumer.DEFAULTS)
    restoring = _number(reading, "queued.max.messages.kbytes", reader.DEFAULTS)
    own = resident_memory()
    return MemoryBudget(
        workers=workers or 1,
        parts={
            "Python and code": own + _CLIENTS,
            "fetched": queue + _BROKERS * response,
            "in hand": WorkerLimits().max_buffered_bytes,
            "in a transaction": config.processing.max_transaction_bytes,
            "to send": _number(writing, "queue.buffering.max.kbytes", producer.DEFAULTS) * KIB,
            # One more reader follows the global tables.
            "restoring": (WorkerLimits().max_restores + 1) * restoring * KIB,
        },
        state=_STATE_FACTOR * sum(f.stat().st_size for f in (config.state.directory / "tasks").glob(f"{tasks}/*")),
        supervisor=0 if workers is None else own,
    )


def require_memory(budget: MemoryBudget, limit: int | None) -> None:
    """Refuse to start what the kernel would kill.

    Raises:
        ConfigurationError: it may need more than the limit; the message says what takes how much.
    """
    if limit is not None and budget.total > limit:
        raise ConfigurationError(
            f"{budget.told()}, and the memory limit of this cgroup is {limit // MIB} MiB: the kernel would kill "
            "workers. Raise the limit, run fewer workers, or lower processing.max_transaction_bytes, "
            '"queue.buffering.max.kbytes" in [kafka.producer], "queued.max.messages.kbytes" or "fetch.max.bytes" in '
            "[kafka.consumer]"
        )


def resident_memory() -> int:
    """Bytes that this process holds in memory; 0 where the system does not tell (no /proc)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return 0 if found is None else int(found[1]) * KIB


def _number(options: Mapping[str, object], name: str, defaults: Mapping[str, object]) -> int:
    """An option as librdkafka will see it; what is no number it will refuse itself."""
    try:
        return int(str(options.get(name, defaults[name])))
    except ValueError:
        return 0
