"""The demo in five steps: servers up, publish, kill on the way, read everything back, compare."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

import penstock as ps
from demo.expected import IDENTITY, expect
from demo.observed import Observed, Source, count, observe
from demo.publish import Kill, Publishing, TopicWatch, environment, publish_and_kill, random_moments
from demo.screen import Screen
from demo.verdict import DataSet, compare
from penstock.embedded import KafkaCluster
from penstock.embedded.registry import RegistryServer
from producers.table import data_directory

KILLS = 3
_ROOT = Path(__file__).parent.parent
_KILLED = "flights"
_OTHERS = ("airlines", "airports", "planes", "weather")


class Report(msgspec.Struct, kw_only=True):
    """What `--json` writes.

    Attributes:
        ok: whether every row of every data set is in its topic exactly once.
        wall_s: seconds, from the start of the servers to the verdict.
        seed: of the moments of the kills.
        kills: of the flights producer.
        aborted: records in the flights topic that belong to aborted transactions.
        data_sets: {name: verdict}.
    """

    ok: bool
    wall_s: float
    seed: int
    kills: list[Kill]
    aborted: int
    data_sets: dict[str, DataSet]

    def to_json(self) -> bytes:
        """The report as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def run(screen: Screen, *, seed: int, rate: int | None = None) -> Report:
    """Run the demo and print its verdict.

    Args:
        screen: where it is told.
        seed: of the moments of the kills.
        rate: flights a second at most, so that there is time to watch; None = as fast as they go.
    """
    began = time.monotonic()
    screen.say(f"a year of flights from New York, into Kafka; seed {seed}")
    embedded = ps.load_config(_ROOT).embedded
    with ThreadPoolExecutor(1) as background:
        # What must be in the topics is computed while the broker starts, when there is nothing else to do.
        expecting = background.submit(expect, data_directory())
        with (
            KafkaCluster(java=embedded.java, jars=embedded.jars) as cluster,
            RegistryServer(bootstrap_servers=cluster.bootstrap_servers) as registry,
        ):
            servers = cluster.bootstrap_servers
            screen.say(f"Kafka is up at {servers}, the schema registry at {registry.url}")
            expected = expecting.result()
            kills = _publish(screen, servers, registry.url, expected[_KILLED].rows, seed, rate)
            screen.say("all published; reading the topics back with a bare consumer")
            observed = {
                name: observe(Source(servers, registry.url, name, f"dlq.{name}", due.fields))
                for name, due in expected.items()
            }
            written = count(servers, _KILLED, committed=False)
    screen.say("comparing them with the files, row by row")
    _count_committed(kills, observed[_KILLED])
    data_sets = {name: compare(name, expected[name], observed[name]) for name in IDENTITY}
    report = Report(
        ok=all(data_set.ok for data_set in data_sets.values()),
        wall_s=round(time.monotonic() - began, 1),
        seed=seed,
        kills=kills,
        aborted=written - len(observed[_KILLED].records),
        data_sets=data_sets,
    )
    screen.verdict(data_sets, kills, report.aborted, report.wall_s)
    return report


def _publish(screen: Screen, servers: str, registry_url: str, total: int, seed: int, rate: int | None) -> list[Kill]:
    screen.say(f"publishing five data sets; the producer of {total:,} flights is killed {KILLS} times on the way")
    arguments = () if rate is None else ("--rate", str(rate))
    with (
        tempfile.TemporaryDirectory(prefix="penstock-demo-") as scratch,
        ThreadPoolExecutor(1) as background,
        screen.progress("flights committed", total) as reached,
    ):
        state, logs = Path(scratch, "state"), Path(scratch, "logs")
        logs.mkdir()
        publishing = Publishing(_ROOT, environment(servers, registry_url, state), logs)
        others = background.submit(_publish_others, publishing)
        moments = random_moments(seed, total, KILLS)
        kills = publish_and_kill(publishing, _KILLED, TopicWatch(servers, _KILLED), moments, reached, arguments)
        others.result()
    return kills


def _publish_others(publishing: Publishing) -> None:
    for name in _OTHERS:
        publishing.finish(name, publishing.start(name))


def _count_committed(kills: list[Kill], observed: Observed) -> None:
    """How many of the records were committed at each kill: those below the last stable offset of that moment."""
    for kill in kills:
        kill.committed = sum(
            record.offset < kill.last_stable_offsets.get(record.partition, 0) for record in observed.records
        )
