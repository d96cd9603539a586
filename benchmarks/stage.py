"""What the jobs on a broker share: the broker, the registry, their input, and contestants as processes of their own."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import penstock as ps
from benchmarks import bids
from benchmarks.contestant import Task
from benchmarks.window import Measured
from penstock.embedded import KafkaCluster
from penstock.embedded.registry import RegistryServer
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.producer import IdempotentProducer
from penstock.kafka.reader import Reader
from penstock.kafka.registry import RegistryClient

PARTITIONS = 8
ROOT = Path(__file__).parents[1]
_CHUNK = 10_000
RUN_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Stage:
    """A broker with benchmark settings, and a registry."""

    connection: Connection
    registry: RegistryClient
    registry_url: str
    names: itertools.count[int]

    def topic(self, name: str, **config: str) -> str:
        """A new topic under this name."""
        Admin(self.connection).create([TopicSettings(name, PARTITIONS, config=config)])
        return name

    def publish(self, topic: str, kind: type[Any], keys: Sequence[str], values: Sequence[Any]) -> None:
        """Write these records, by key."""
        bound = ps.Topic(topic, key=str, value=kind).bind(self.registry, auto_register=True)
        producer = IdempotentProducer(self.connection, f"bench-{topic}")
        for start in range(0, len(keys), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            producer.produce(topic, bound.encode_keys(keys[chunk]), bound.encode_values(values[chunk]))
        producer.flush(60)

    def task(self, system: str, job: str, *, source: str, auctions: str, warm_up: int, records: int) -> Task:
        """A run of a job, under names of its own."""
        name = f"{system}-{job}-{next(self.names)}"
        output, changelog = self.topic(f"{name}-out"), ""
        if system != "penstock" and job == "aggregate":
            changelog = self.topic(f"{name}-changelog", **{"cleanup.policy": "compact"})
        return Task(
            system=system,
            job=job,
            name=name,
            bids=source,
            auctions=auctions,
            output=output,
            changelog=changelog,
            partitions=PARTITIONS,
            warm_up=warm_up,
            records=records,
            bootstrap_servers=self.connection.bootstrap_servers,
            registry=self.registry_url,
        )

    def written(self, topic: str) -> list[list[tuple[bytes | None, bytes | None, int]]]:
        """Key, value and timestamp of all that is committed there, each partition's in an order of their own."""
        found: dict[int, list[tuple[bytes | None, bytes | None, int]]] = {n: [] for n in range(PARTITIONS)}
        with Reader(self.connection) as reader:
            starts = {(topic, partition): 0 for partition in found}
            reader.assign(starts)
            while reader.at_end != starts.keys():
                for record in reader.poll(0.1):
                    found[record.partition or 0].append((record.key, record.value, record.timestamp_ms or 0))
        return [sorted(rows, key=repr) for rows in found.values()]


@contextlib.contextmanager
def stage() -> Generator[Stage]:
    """Up, and down again."""
    with (
        KafkaCluster(benchmark=True) as cluster,
        RegistryServer(bootstrap_servers=cluster.bootstrap_servers) as registry,
        contextlib.closing(RegistryClient(registry.url)) as client,
    ):
        yield Stage(Connection(cluster.bootstrap_servers), client, registry.url, itertools.count())


def publish_bids(on: Stage, topic: str, count: int) -> None:
    """So many bids into a new topic."""
    rows = bids.bids(count)
    on.publish(on.topic(topic), bids.Bid, [bids.key_of(bid.auction) for bid in rows], rows)


def publish_auctions(on: Stage, topic: str) -> None:
    """The table into a new topic."""
    rows = bids.auctions()
    on.topic(topic, **{"cleanup.policy": "compact"})
    on.publish(topic, bids.Auction, [bids.key_of(number) for number in range(len(rows))], rows)


@contextlib.contextmanager
def workers(task: Task, count: int) -> Generator[list[Measured]]:
    """So many workers of one pipeline for the block, a process each; afterwards the list holds what they tell."""
    started = [
        subprocess.Popen(
            _command(msgspec.structs.replace(task, records=0, instance=str(number))),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(count)
    ]
    found: list[Measured] = []
    try:
        yield found
        told = [each.communicate(timeout=RUN_TIMEOUT_S)[0] for each in started]
        found += [msgspec.json.decode(each.splitlines()[-1], type=Measured) for each in told]
    finally:
        for each in started:
            each.kill()
            each.wait()


def _command(task: Task) -> list[str]:
    return [sys.executable, "-m", "benchmarks.contestant", msgspec.json.encode(task).decode()]


def run(task: Task) -> Measured:
    """Run a contestant in a process of its own."""
    done = subprocess.run(
        _command(task),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        timeout=RUN_TIMEOUT_S,
    )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Measured)
