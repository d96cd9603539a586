"""What the client's `list_offsets` answers, looked at with suspicion.

A leader that is dead or gone is no error to it: when the request's time is over, the answer is offset -1001, and it
stays so as long as the same client is asked (seen: for minutes, on librdkafka 2.16). Taken for an end, it would make a
changelog look empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition


def listed_offsets(answers: Mapping[TopicPartition, Future[Any]]) -> dict[tuple[str, int], int]:
    """{partition: offset}; waits for what has not come.

    Raises:
        KafkaException: some are not known: ask another client.
    """
    found = {(tp.topic, tp.partition): future.result().offset for tp, future in answers.items()}
    for (topic, partition), offset in found.items():
        if offset < 0:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"offset of {topic}[{partition}]: no answer"))
    return found
