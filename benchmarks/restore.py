"""A task group with a million keys comes back: from its changelog, and from its checkpoints.

The baseline reads the same changelog into a dict, without offsets, digest or claim.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile

import msgspec

from benchmarks import stage
from benchmarks.measure import Row
from benchmarks.restorer import Comeback, Task
from benchmarks.stage import PARTITIONS, Stage
from penstock.kafka.producer import IdempotentProducer

KEYS = 1_000_000
TOPIC = "keys"
ROUNDS = 3
_CHUNK = 10_000


def run() -> list[Row]:
    """Fill the state once, then come back in turn."""
    found: dict[str, list[Comeback]] = {}
    with stage.stage() as on, tempfile.TemporaryDirectory() as kept:
        _publish_keys(on)
        _play(on, "fill", kept)
        for _ in range(ROUNDS):
            found.setdefault("changelog into a dict", []).append(_play(on, "bare", kept))
            with tempfile.TemporaryDirectory() as empty:
                from_changelog = _play(on, "restore", empty)
            found.setdefault("penstock, from the changelog", []).append(from_changelog)
            from_checkpoint = _play(on, "restore", kept)
            found.setdefault("penstock, from checkpoints", []).append(from_checkpoint)
            if from_changelog.checkpoint_bytes or from_checkpoint.changelog_bytes > from_checkpoint.checkpoint_bytes:
                raise AssertionError("a restore took its state from elsewhere than it should")
    base = found["changelog into a dict"]
    return [_row(system, runs, base) for system, runs in found.items()]


def _row(system: str, runs: list[Comeback], base: list[Comeback]) -> Row:
    return Row(
        job=f"restore of {KEYS:,} keys",
        system=system,
        records_per_s=round(statistics.median(KEYS / each.wall_s for each in runs)),
        cpu_us_per_record=round(statistics.median(each.cpu_s / KEYS for each in runs) * 1e6, 2),
        ratio_to_baseline=round(
            statistics.median(other.wall_s / own.wall_s for own, other in zip(runs, base, strict=True)), 3
        ),
        runs=len(runs),
        seconds=round(statistics.median(each.wall_s for each in runs), 2),
    )


def _publish_keys(on: Stage) -> None:
    topic = on.topic(TOPIC)
    producer = IdempotentProducer(on.connection, "bench-keys")
    for start in range(0, KEYS, _CHUNK):
        keys: list[bytes | None] = [b"key-%07d" % number for number in range(start, start + _CHUNK)]
        producer.produce(topic, keys, [b""] * len(keys))
    producer.flush(60)


def _play(on: Stage, role: str, state: str) -> Comeback:
    task = Task(
        role=role,
        topic=TOPIC,
        records=KEYS,
        partitions=PARTITIONS,
        state=state,
        bootstrap_servers=on.connection.bootstrap_servers,
    )
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.restorer", msgspec.json.encode(task).decode()],
        cwd=stage.ROOT,
        check=True,
        stdout=subprocess.PIPE,
        timeout=stage.RUN_TIMEOUT_S,
    )
    comeback = msgspec.json.decode(done.stdout.splitlines()[-1], type=Comeback)
    if role == "restore" and comeback.entries != KEYS:
        raise AssertionError(f"{comeback.entries} keys came back instead of {KEYS}")
    return comeback
