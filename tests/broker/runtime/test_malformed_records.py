"""Input malformed in dozens of ways: each bad record once in the dead letters, each good one once in the output."""

from __future__ import annotations

import random
import subprocess
from functools import partial
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness import victims
from tests.broker.harness.bare_reader import group_offsets, read
from tests.broker.harness.topics import create, publish
from tests.broker.harness.victims import until
from tests.broker.runtime import malformed_kinds

pytestmark = pytest.mark.broker

SCRIPT = Path(__file__).with_name("malformed_worker.py")
PARTITIONS = 4


@pytest.mark.parametrize(
    ("count", "kills"),
    [
        pytest.param(1_200, 3, marks=pytest.mark.timeout(240)),
        pytest.param(100_000, 12, marks=[pytest.mark.full, pytest.mark.timeout(1_200)]),
    ],
)
def test_each_bad_record_is_set_aside_once_with_its_reason_and_each_good_one_comes_through(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, count: int, kills: int
) -> None:
    """A tenth of them is good. Two workers share them, and are killed again and again on the way."""
    name, bootstrap = topic_prefix, kafka.bootstrap_servers
    _, frame = malformed_kinds.registered(name)
    kinds = list(malformed_kinds.malformed(frame))
    assert len({each.kind for each in kinds}) == len(kinds) >= 30
    rows = malformed_kinds.rows(frame, count, PARTITIONS)
    assert {row.value for row in rows} >= {each.value for each in kinds}, "all kinds are there"
    create(bootstrap, f"{name}-in", PARTITIONS)

    def start(instance: int) -> subprocess.Popen[str]:
        return victims.start(SCRIPT, kafka, name, tmp_path / str(instance), str(instance), log=tmp_path / "log")

    def committed() -> int:
        return sum(max(0, each.offset) for each in group_offsets(bootstrap, name, f"{name}-in", range(PARTITIONS)))

    def reached(offsets: int) -> bool:
        return committed() >= offsets

    dice = random.Random(7)
    workers = [start(instance) for instance in range(2)]
    try:
        # In parts: the workers have something to do until the last kill, however fast they are.
        for number in range(kills):
            publish(bootstrap, f"{name}-in", rows[count * number // kills : count * (number + 1) // kills])
            behind = count * number // kills + dice.randrange(1, count // kills)
            until(partial(reached, behind), timeout_s=120)
            victim = number % 2
            workers[victim].kill()
            workers[victim].wait()
            workers[victim] = start(victim)
        until(partial(reached, count), timeout_s=300)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()

    # {(partition, offset): place in the order of publishing}
    place_of = {(row.partition, place // PARTITIONS): place for place, row in enumerate(rows)}
    good = [place for place in range(count) if malformed_kinds.is_good(place, PARTITIONS)]
    assert len(good) == count // 10
    found = sorted(
        int(record.value or b"") for records in read(bootstrap, f"{name}-out").values() for record in records
    )
    assert found == good

    seen: list[int] = []
    workers_seen: set[bytes | None] = set()
    for partition, letters in read(bootstrap, f"dlq.{name}.{name}-in").items():
        for letter in letters:
            headers = dict(letter.headers)
            place = place_of[partition, int(headers["__dlq.errors.offset"] or b"")]
            seen.append(place)
            assert (letter.key, letter.value) == (rows[place].key, rows[place].value)
            assert headers["penstock.dlq.stage"] == b"decode"
            spoilt = malformed_kinds.kind_at(kinds, place)
            assert headers["penstock.dlq.reason"] == spoilt.reason.encode(), spoilt.kind
            is_framed = len(spoilt.value or b"") >= len(frame) and (spoilt.value or b"").startswith(b"\x00")
            schema_id = str(int.from_bytes((spoilt.value or b"")[1:5], "big")).encode() if is_framed else None
            assert headers.get("penstock.dlq.value.schema.id") == schema_id, spoilt.kind
            assert headers["__dlq.errors.group"] == name.encode()
            workers_seen.add(headers["penstock.dlq.worker"])
    assert sorted(seen) == sorted(set(range(count)) - set(good))
    assert workers_seen == {f"{name}.{instance}.0".encode() for instance in range(2)}
