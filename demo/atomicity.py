"""Every committed transaction of a worker: what belongs together is in one, by the coordinator's log.

Kills find an engine that commits outputs here and offsets there only if one comes in between, a moment in a hundred.
The coordinator has written down which partitions each transaction had, so nothing is left to luck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from demo.fold import TaskLog
from demo.pipelines import PipelineInDemo

_OFFSETS = "__consumer_offsets"


def torn(
    pipeline: PipelineInDemo, touched: Sequence[frozenset[tuple[str, int]]], logs: Mapping[int, TaskLog]
) -> Iterator[str]:
    """Everything that is off.

    Args:
        pipeline: whose worker's.
        touched: the partitions of each of its committed transactions.
        logs: {partition: what was found there}; what the coordinator knows of has to be there, and nothing else.
    """
    for number, partitions in enumerate(touched, 1):
        tasks = {partition for topic, partition in partitions if topic == pipeline.changelog}
        written = {partition for topic, partition in partitions if topic not in {pipeline.changelog, _OFFSETS}}
        if not any(topic == _OFFSETS for topic, _ in partitions):
            yield f"{pipeline.name}, transaction {number}: no offsets of the group are in it"
        if not written <= tasks:
            yield f"{pipeline.name}, transaction {number}: outputs of {sorted(written - tasks)} without their state"
    counted = Counter(place for partitions in touched for place in partitions)
    for partition, log in logs.items():
        found = {topic: len(parts) for topic, parts in log.parts.items()} | {pipeline.changelog: log.commits}
        for topic, transactions in found.items():
            if counted[topic, partition] != transactions:
                yield (
                    f"{topic}[{partition}]: {transactions} transactions, the coordinator knows of "
                    f"{counted[topic, partition]}"
                )
