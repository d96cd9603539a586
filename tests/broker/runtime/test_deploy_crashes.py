"""A worker that dies while it takes over with other code: the old state is whole until it is gone, and stays gone."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from penstock.testing.history.notes import COMMIT_RECORD, digest
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.testing.segments import Fate, read_topic
from tests.broker.harness.bare_reader import read
from tests.broker.harness.failpoint import LOG
from tests.broker.harness.victims import finish, start
from tests.broker.runtime.deploys import (
    KEYS,
    Names,
    create,
    numbers,
    publish,
    results,
    run,
    state,
    stores,
    summing,
    sums,
)

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

SCRIPT = Path(__file__).with_name("deploying_worker.py")

STEPS = [
    ("deploy", 1),
    ("deployed", 1),
    ("init", 1),
    ("restore", 2),
    ("begin", 1),
    ("claim", 1),
    ("changelog", 1),
    ("flush", 1),
    ("send offsets", 1),
    ("commit", 1),
    ("committed", 1),
    ("apply", 1),
    ("process", 2),
    ("changelog", 3),
    ("commit", 2),
]
SHORT = {("deploy", 1), ("deployed", 1), ("changelog", 1), ("commit", 1), ("committed", 1)}


@pytest.mark.parametrize(
    ("step", "nth"), [pytest.param(*each, marks=() if each in SHORT else pytest.mark.full) for each in STEPS]
)
def test_a_worker_that_dies_while_state_is_given_up_leaves_it_whole_or_gone(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, step: str, nth: int
) -> None:
    """What was accepted need not be accepted again, once it is recorded; and outputs are as if nobody had died."""
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    names = Names(topic_prefix)
    create(kafka, names.numbers)
    publish(kafka, names.numbers, numbers(0, 100))
    run(kafka, names, summing("sum"), tmp_path)
    publish(kafka, names.numbers, numbers(100, 200))
    last = [records[-1].offset + 1 for _, records in sorted(read(kafka.bootstrap_servers, names.numbers).items())]
    options = ["--variant", "total", "--until", ",".join(map(str, last))]

    victim = start(SCRIPT, kafka, names.pipeline, tmp_path, *options, "--accept", "--step", step, "--nth", str(nth))
    out, err = victim.communicate(timeout=90)
    assert victim.returncode == -signal.SIGKILL, out + err
    assert (tmp_path / LOG).read_text() == f"{step} kill\n"

    if step == "deploy":
        refused = start(SCRIPT, kafka, names.pipeline, tmp_path, *options)
        _, err = refused.communicate(timeout=90)
        assert refused.returncode == 5, err
        assert "renames store 'sum'" in err
        options.append("--accept")
    finish(start(SCRIPT, kafka, names.pipeline, tmp_path, *options))

    assert results(kafka, names) == {key: [*before, *sums(100, 200)[key]] for key, before in sums(0, 100).items()}
    assert stores(state(kafka, names)) == {"total": KEYS}
    check_by_the_files(kafka, names)


def check_by_the_files(kafka: KafkaUnderTest, names: Names) -> None:
    """In each partition, old entries go all at once, in the first transaction of the new code, and none comes back."""
    assert kafka.cluster is not None
    for log in read_topic(kafka.cluster.log_directory(1), names.changelog()).values():
        assert not log.open_transactions
        entries: dict[bytes, bytes] = {}
        kept: list[tuple[str, ...]] = []
        for transaction in log.transactions:
            if transaction.fate is not Fate.COMMITTED:
                continue
            records = [record for batch in transaction.batches for record in batch.records()]
            for record in records[:-1]:
                if record.value is None:
                    entries.pop(record.key or b"", None)
                else:
                    entries[record.key or b""] = record.value
            assert records[-1].key == COMMIT_RECORD
            assert digest(entries) in (records[-1].value or b"")
            kept.append(tuple(sorted(stores(entries))))
        there = [each for place, each in enumerate(kept) if not place or kept[place - 1] != each]
        assert there == [(), ("sum",), (), ("total",)], there
