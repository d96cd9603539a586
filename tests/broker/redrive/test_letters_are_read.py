"""How much of a dead-letter topic is read, on a real broker."""

from __future__ import annotations

import pytest

from penstock.kafka.client import Connection
from penstock.redrive.letters import DeadLetters
from penstock.redrive.selection import Condition, Selection
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.redrive.dead_letters import FIRST_MS, PARTITIONS, Letters

pytestmark = pytest.mark.broker

COUNT = 120


@pytest.fixture
def letters(kafka: KafkaUnderTest, topic_prefix: str) -> Letters:
    return Letters.written(kafka.bootstrap_servers, topic_prefix, COUNT)


def read(kafka: KafkaUnderTest, letters: Letters, selection: Selection) -> tuple[list[tuple[int, int]], int]:
    """Places of the letters, and how many offsets were read for them."""
    partitions = selection.partitions(PARTITIONS)
    found = DeadLetters(Connection(kafka.bootstrap_servers), letters.dead, partitions, selection)
    places = [(letter.partition, letter.offset) for batch in found.read() for letter in batch]
    assert found.done == found.total
    return places, found.total


@pytest.mark.parametrize(
    ("conditions", "places", "offsets"),
    [
        (("partition=1", "offset=17"), [(1, 17)], 1),
        (("partition=1", "offset=17..19"), [(1, 17), (1, 18), (1, 19)], 3),
        (("partition=1", "offset=38..60"), [(1, 38), (1, 39)], 5),  # two markers and an aborted record behind
        (("partition=2", "offset=41"), [], 1),  # not a letter: a record of an aborted transaction
        (("partition=0", "offset=5000"), [], 0),
        (("partition=0", "offset=5", "offset=6"), [], 0),
    ],
)
def test_of_what_is_named_by_its_place_nothing_else_is_read(
    kafka: KafkaUnderTest,
    letters: Letters,
    conditions: tuple[str, ...],
    places: list[tuple[int, int]],
    offsets: int,
) -> None:
    selection = Selection(tuple(map(Condition.of, conditions)))
    found, total = read(kafka, letters, selection)
    assert (found, total) == (places, offsets)


def test_times_leave_out_no_letter_that_is_meant(kafka: KafkaUnderTest, letters: Letters) -> None:
    """Of a topic that is shorter than the first look all is read."""
    found, total = read(kafka, letters, Selection((), FIRST_MS + 10, FIRST_MS + 20))
    assert (len(found), total) == (COUNT, COUNT + 3 * PARTITIONS)


def test_a_reading_that_goes_on_reads_what_is_left(kafka: KafkaUnderTest, letters: Letters) -> None:
    found = DeadLetters(Connection(kafka.bootstrap_servers), letters.dead, [0, 2])
    assert [(one.partition, one.offset) for batch in found.read({0: 39, 2: 5_000}) for one in batch] == [(0, 39)]
    newest = found.newest(7)
    assert {partition: COUNT // PARTITIONS - start for partition, start in newest.items()} == {0: 11, 2: 11}
