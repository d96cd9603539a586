"""What the log holds of each partition of a pipeline, and what its input comes to by the files: both for the fold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from demo.broker_files import TopicFiles
from demo.expected import DERIVED, IDENTITY, Expected
from demo.fold import Change, Entry, Identity, Input, Rules, TaskLog
from demo.observed import Observed, read
from demo.pipelines import AIRCRAFT_ROTATION, FLIGHT_STATUS, PipelineInDemo
from demo.process import Cluster

FLIGHTS = "flights"


class Findings:
    """What must be there and what is there, by data set and output topic."""

    def __init__(self, expected: Mapping[str, Expected], observed: Mapping[str, Observed]) -> None:
        self.expected, self.observed = expected, observed
        self._identities: dict[str, dict[int, list[Input]]] = {}

    def identities(self, name: str) -> dict[int, list[Input]]:
        """{partition: a topic's records in their order}; those of no row are left to the verdict by rows.

        Redriven ones are among them, and are for the pipeline alone whose dead letters they were.
        """
        if name not in self._identities:
            self._identities[name] = self._found(name)
        return self._identities[name]

    def _found(self, name: str) -> dict[int, list[Input]]:
        expected = self.expected[name]
        places = [expected.fields.index(field) for field in (IDENTITY | DERIVED)[name]]
        found: dict[int, list[Input]] = defaultdict(list)
        both = self.observed[name].records, self.observed[name].redriven
        for records, is_redriven in zip(both, (False, True), strict=True):
            for record in records:
                identity = () if record.values is None else tuple([record.values[at] for at in places])
                if identity in expected.records:
                    found[record.partition].append(Input(record.offset, identity, is_redriven))
        for inputs in found.values():
            inputs.sort()  # by offset
        return found

    def dead_flights(self, name: str) -> dict[int, list[Identity]]:
        """{partition: the flights among an output topic's dead letters, in their order}."""
        found: dict[int, list[Identity]] = defaultdict(list)
        for letter in self.observed[name].dead_letters:
            found[letter.partition].append(tuple([letter.raw.get(field) for field in IDENTITY[FLIGHTS]]))
        return found


def task_logs(pipeline: PipelineInDemo, findings: Findings, cluster: Cluster) -> dict[int, TaskLog]:
    """{partition: its log}, read by a bare consumer; the transactions by the broker's files."""
    changelog: dict[int, list[Entry]] = defaultdict(list)
    for message in read(cluster.bootstrap_servers, pipeline.changelog):
        key: Any = message.key()
        value: Any = message.value()
        changelog[message.partition() or 0].append(Entry(message.offset() or 0, key or b"", value))
    outputs = {
        topic: {
            number: [record.identity for record in records] for number, records in findings.identities(topic).items()
        }
        for topic in pipeline.outputs
    }
    outputs[dead_letters_of_flights(pipeline)] = findings.dead_flights(pipeline.outputs[0])
    files = {topic: TopicFiles(cluster.log_directory, topic) for topic in outputs}
    for each in files.values():
        each.look()
    # Tables first; see `TaskLog`.
    inputs = {topic: findings.identities(topic) for topic in reversed(pipeline.inputs)}
    group = cluster.group(pipeline).committed()
    return {
        partition: TaskLog(
            inputs={topic: records.get(partition, []) for topic, records in inputs.items()},
            changelog=changelog[partition],
            outputs={topic: records.get(partition, []) for topic, records in outputs.items()},
            parts={
                topic: [part.records for part in each.partitions[partition].committed] for topic, each in files.items()
            },
            group={topic: offset for (topic, number), offset in group.items() if number == partition},
        )
        for partition in sorted(files[pipeline.outputs[0]].partitions)
    }


def dead_letters_of_flights(pipeline: PipelineInDemo) -> str:
    """The topic of a pipeline's dead letters that were flights."""
    return f"dlq.{pipeline.name}.{FLIGHTS}"


def rules_of(pipeline: PipelineInDemo, expected: Mapping[str, Expected]) -> Rules:
    """What one record comes to, by what the files come to in SQL."""
    return {FLIGHT_STATUS: _flight_status, AIRCRAFT_ROTATION: _aircraft_rotation}[pipeline](expected)


def _flight_status(expected: Mapping[str, Expected]) -> Rules:
    status, cancelled, planes = (expected[name] for name in (*FLIGHT_STATUS.outputs, "planes"))

    unknown = {
        identity for identity, flight in expected[FLIGHTS].records.items() if flight.place in status.brought_back
    }

    def writes(topic: str, identity: Identity) -> str | None:
        if topic != FLIGHTS:
            return None
        if identity in cancelled.records:
            return FLIGHT_STATUS.outputs[1]
        if identity in unknown:  # to the directory, as long as it was not mended
            return dead_letters_of_flights(FLIGHT_STATUS)
        return FLIGHT_STATUS.outputs[0] if identity in status.records else dead_letters_of_flights(FLIGHT_STATUS)

    def changes(topic: str, identity: Identity) -> Change | None:
        if topic == FLIGHTS:
            return None
        plane = planes.records[identity]
        return "planes", plane.key, dict(zip(planes.fields, plane.values, strict=True))

    return Rules(writes, changes, redriven=FLIGHT_STATUS.outputs[0])


def _aircraft_rotation(expected: Mapping[str, Expected]) -> Rules:
    rotations, flights = expected[AIRCRAFT_ROTATION.outputs[0]], expected[FLIGHTS]
    destination, arrived_at, delay_min = (
        flights.fields.index(field) for field in ("destination", "arrived_at", "arrival_delay_min")
    )

    def writes(_: str, identity: Identity) -> str | None:
        return AIRCRAFT_ROTATION.outputs[0] if identity in rotations.records else None

    def changes(_: str, identity: Identity) -> Change | None:
        flight = flights.records[identity]
        if identity not in rotations.records or flight.values[arrived_at] is None:
            return None
        arrival = {
            "destination": flight.values[destination],
            "arrived_at": flight.values[arrived_at],
            "delay_min": flight.values[delay_min],
        }
        return "last-arrivals", flight.key, arrival

    return Rules(writes, changes)
