"""A worker that fails where it is told to; started as a process of its own by the crash tests.

Per key the pipeline keeps a sum of the numbers and writes it out with each; what is no number goes to the dead letters.
The process ends by itself when the input is dealt with.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import penstock as ps
from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.protocols import Codec, Decoded, SchemaRegistry, Side
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from penstock.schemas.serdes import serde_for
from tests.broker.harness.failpoint import Failpoint


@dataclass(frozen=True, slots=True)
class Text:
    """Strings; decoding them is one more step."""

    failpoint: Failpoint

    def bind(
        self, topic: str, side: Side, registry: SchemaRegistry | None, *, auto_register: bool = False
    ) -> Codec[str]:
        """Of a side of a topic."""
        return TextCodec(serde_for(str).bind(topic, side, registry, auto_register=auto_register), self.failpoint)


@dataclass(frozen=True, slots=True)
class TextCodec:
    """Encodes as `inner` does, and decodes so too."""

    inner: Codec[str]
    failpoint: Failpoint

    def encode(self, values: Sequence[str]) -> list[bytes]:
        """A batch."""
        return self.inner.encode(values)

    def decode(self, data: Sequence[bytes]) -> Decoded[str]:
        """A batch."""
        self.failpoint.on_step("decode")
        return self.inner.decode(data)


def pipeline(name: str, topic: str, failpoint: Failpoint, beside: str | None = None) -> ps.Pipeline:
    """User code is three more places to fail at; what is read beside the numbers is dropped."""
    numbers = ps.Topic(topic, key=str, value=Text(failpoint))
    sums = ps.Topic(f"{name}-sums", key=str, value=str, partitions=2)

    def parse(text: str) -> int:
        failpoint.on_step("handler")
        return int(text)

    def add(total: int, number: int) -> int:
        failpoint.on_step("fold")
        return total + number

    def show(total: int) -> str:
        failpoint.on_step("show")
        return str(total)

    made = ps.Pipeline(name, on_error="dead_letter")
    texts = made.stream(numbers)
    if beside is not None:
        skipped = made.stream(ps.Topic(beside, key=str, value=str)).filter(lambda text: text != "skip", name="skip")
        texts = texts.merge(skipped, name="together")
    texts.map(parse, name="parse").aggregate(int, add, name="sum").to_stream().map(show, name="show").to(sums)
    return made


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap_servers")
    parser.add_argument("pipeline")
    parser.add_argument("state", type=Path)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--until", required=True, help="offsets behind the last number, with commas")
    parser.add_argument("--step", default="none")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--action", default="kill")
    parser.add_argument("--timeout-ms", type=int, default=10_000)
    args = parser.parse_args()
    around = WorkerSurroundings(
        connection=Connection(args.bootstrap_servers),
        registry=None,
        state_directory=args.state,
        checkpoint_interval_s=0.05,
        transaction_timeout_ms=args.timeout_ms,
        transaction_budget_ms=args.timeout_ms * 3 // 4,
        consumer_options={"session.timeout.ms": 1_500, "heartbeat.interval.ms": 300},
        limits=WorkerLimits(commit_interval_s=0.005, max_batch_records=50),
    )
    failpoint = Failpoint(args.step, args.nth, args.action, args.state)
    last = {(args.topic, place): int(offset) for place, offset in enumerate(args.until.split(","))}
    try:
        with opened(pipeline(args.pipeline, args.topic, failpoint).topology(), around, failpoint) as worker:
            while not (worker.is_idle and is_done(worker, last)):
                worker.step()
            failpoint.on_step("close")
            worker.close()
            failpoint.on_step("closed")
    except PenstockError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201 - the test reads it
        return exc.exit_code
    failpoint.write_steps()
    return 0


def is_done(worker: Worker, last: dict[tuple[str, int], int]) -> bool:
    """Whether every number is dealt with, as the committed offsets say."""
    committed = {p: offset for task in worker.tasks.values() for p, offset in task.committed.next_offsets.items()}
    return all(committed.get(partition, 0) >= offset for partition, offset in last.items())


if __name__ == "__main__":
    sys.exit(main())
