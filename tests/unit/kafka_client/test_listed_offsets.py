"""An offset that nobody knows is no offset."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaException, TopicPartition

from penstock.errors import KafkaUnavailable
from penstock.kafka.error_map import from_call
from penstock.kafka.listed_offsets import listed_offsets


@dataclass
class Info:
    offset: int


def answers(*offsets: int) -> dict[TopicPartition, Future[Info]]:
    found: dict[TopicPartition, Future[Info]] = {}
    for partition, offset in enumerate(offsets):
        future: Future[Info] = Future()
        future.set_result(Info(offset))
        found[TopicPartition("t", partition)] = future
    return found


def test_offsets_are_told_by_partition() -> None:
    assert listed_offsets(answers(0, 7)) == {("t", 0): 0, ("t", 1): 7}


@pytest.mark.parametrize("offset", [-1001, -1])
def test_an_answer_without_an_offset_is_an_outage_and_never_an_end(offset: int) -> None:
    """So the client says that the leader does not answer: without any error."""
    with pytest.raises(KafkaException, match=r"t\[1\]: no answer") as caught:
        listed_offsets(answers(5, offset))
    assert isinstance(from_call(caught.value, "list_offsets"), KafkaUnavailable)
