"""How long a killed worker's tasks stand still: measured, and written down; the verdict is about the result only.

A sample is one task of a worker that was killed with SIGKILL: from the signal until the survivor has committed work of
that task and a read_committed reader of the outputs is shown what stands behind the dead one's open transaction.
"""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
from pathlib import Path

import pytest

from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.broker.runtime.cast import Cast
from tests.broker.runtime.numbers_topic import Trickle

pytestmark = [pytest.mark.broker, pytest.mark.full]

FIGURES = Path(__file__).parents[3] / "benchmarks" / "takeover.json"
PARTITIONS, KEYS, KILLS = 6, 24, 25
SESSION_TIMEOUT_S = {"classic": 1.5, "classic, range": 1.5, "KIP-848": 6.0}


def takeover_times_s(cast: Cast, name: str) -> list[float]:
    """Kill it, and watch its tasks."""
    admin = Admin(Connection(cast.kafka.bootstrap_servers))
    outputs = [(cast.topics.sums, p) for p in range(admin.topics()[cast.topics.sums].partitions)]
    owned = {p for p, (owner, _) in enumerate(cast.owners()) if owner == name}
    cast.kill(name)
    killed_at_s = time.monotonic()
    before, ends = cast.offsets(), admin.end_offsets(outputs)
    worked_at_s: dict[int, float] = {}
    visible_at_s = 0.0
    deadline_s = killed_at_s + 90
    while len(worked_at_s) < len(owned) or not visible_at_s:
        assert time.monotonic() < deadline_s, cast.open_transactions()
        now, owners = cast.offsets(), cast.owners()
        for p in owned - worked_at_s.keys():
            if now[p] > before[p] and owners[p][0] != name:
                worked_at_s[p] = time.monotonic()
        if not visible_at_s and all(at >= ends[p] for p, at in admin.end_offsets(outputs, "read_committed").items()):
            visible_at_s = time.monotonic()
    return [max(at_s, visible_at_s) - killed_at_s for at_s in worked_at_s.values()]


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("kind", SESSION_TIMEOUT_S)
def test_the_tasks_of_a_killed_worker_stand_still_for_so_long(kafka: KafkaUnderTest, tmp_path: Path, kind: str) -> None:
    chance, pace = random.Random(kind), threading.Event()
    trickle = Trickle(kafka.bootstrap_servers, partitions=PARTITIONS, keys=KEYS, has_beside=kind.endswith("range"))
    options = ["--commit-interval-ms", "100", "--protocol", "consumer" if kind == "KIP-848" else "classic"]
    options += ["--beside", trickle.beside] if trickle.beside else []
    cast = Cast(kafka, trickle.topic, PARTITIONS, tmp_path, tuple(options))
    samples: list[float] = []
    try:
        with trickle:
            cast.join("a")
            cast.join("b")
            for turn in range(KILLS):
                until(lambda: {owner for owner, _ in cast.owners()} == {"a", "b"})
                cast.advance()
                pace.wait(chance.random() / 2)  # anywhere between two commits
                victim = "ab"[turn % 2]
                samples += takeover_times_s(cast, victim)
                cast.join(victim)
        cast.finish(trickle.numbers)
    finally:
        cast.close()
    write_figures(kind, samples)


def write_figures(kind: str, samples: list[float]) -> None:
    found = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    cuts = statistics.quantiles(samples, n=100, method="inclusive")
    found[kind] = {
        "kills": KILLS,
        "samples": len(samples),
        "session_timeout_s": SESSION_TIMEOUT_S[kind],
        "p50_s": round(statistics.median(samples), 2),
        "p99_s": round(cuts[98], 2),
        "max_s": round(max(samples), 2),
    }
    FIGURES.write_text(json.dumps(found, indent=1) + "\n")
    print(kind, found[kind])  # noqa: T201 - what the test is for
