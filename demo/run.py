"""The demo in six steps: servers up, publish, run the pipelines, kill on the way, read everything back, compare."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import penstock as ps
from demo.expected import IDENTITY, Expected, expect
from demo.observed import Observed, Source, count, observe
from demo.pipelines import PIPELINES, PipelineKill, aborted_data, run_all
from demo.publish import Kill, Project, TopicWatch, environment, publish_and_kill, random_moments
from demo.report import Report, report_of
from demo.screen import Screen
from demo.verdict import compare
from penstock.embedded import KafkaCluster
from penstock.embedded.registry import RegistryServer
from producers.table import data_directory

PRODUCER_KILLS = 3
KILLS_PER_PIPELINE = 6
_ROOT = Path(__file__).parent.parent
_KILLED = "flights"
_FIRST = ("planes", "airlines")
"""A pipeline joins the planes: a record of the table counts for flights with later timestamps."""
_BESIDE = ("airports", "weather")


@dataclass(frozen=True, slots=True)
class _Servers:
    """Where the demo's processes find what they need."""

    kafka: str
    registry_url: str


def run(screen: Screen, *, seed: int, rate: int | None = None, kills_per_pipeline: int = KILLS_PER_PIPELINE) -> Report:
    """Run the demo and print its verdict.

    Args:
        screen: where it is told.
        seed: of the moments of the kills.
        rate: flights a second at most, so that there is time to watch; None = as fast as they go.
        kills_per_pipeline: of its worker; the verdict asks for enough of them.
    """
    began = time.monotonic()
    screen.say(f"a year of flights from New York, through Kafka and two pipelines; seed {seed}")
    embedded = ps.load_config(_ROOT).embedded
    with ThreadPoolExecutor(1) as background:
        # What must be in the topics is computed while the broker starts, when there is nothing else to do.
        expecting = background.submit(expect, data_directory())
        with (
            KafkaCluster(java=embedded.java, jars=embedded.jars) as cluster,
            RegistryServer(bootstrap_servers=cluster.bootstrap_servers) as registry,
        ):
            servers = _Servers(cluster.bootstrap_servers, registry.url)
            screen.say(f"Kafka is up at {servers.kafka}, the schema registry at {servers.registry_url}")
            expected = expecting.result()
            producer_kills, pipeline_kills = _work(
                screen, servers, expected[_KILLED].rows, seed, rate, kills_per_pipeline
            )
            screen.say("all done; reading the topics back with a bare consumer, and the broker's own files")
            observed = _observe(servers, expected)
            written = count(servers.kafka, _KILLED, committed=False)
            aborted = aborted_data(cluster.log_directory(1))
    screen.say("comparing them with the files, row by row")
    _count_committed(producer_kills, observed[_KILLED])
    verdicts = {name: compare(name, expected[name], observed[name]) for name in expected}
    report = report_of(
        {name: verdicts[name] for name in IDENTITY},
        {name: found for name, found in verdicts.items() if name not in IDENTITY},
        producer_kills,
        pipeline_kills,
        aborted=written - len(observed[_KILLED].records),
        aborted_output=aborted.records,
        kills_inside=aborted.transactions,
        wall_s=time.monotonic() - began,
        seed=seed,
    )
    screen.verdict(report)
    return report


def _work(
    screen: Screen, servers: _Servers, total: int, seed: int, rate: int | None, kills_per_pipeline: int
) -> tuple[list[Kill], list[PipelineKill]]:
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as scratch:
        state, logs = Path(scratch, "state"), Path(scratch, "logs")
        logs.mkdir()
        project = Project(_ROOT, environment(servers.kafka, servers.registry_url, state), logs)
        return (
            _publish(screen, project, servers, total, seed, rate),
            _process(screen, project, servers, seed, kills_per_pipeline),
        )


def _publish(
    screen: Screen, project: Project, servers: _Servers, total: int, seed: int, rate: int | None
) -> list[Kill]:
    told = f"publishing five data sets; the producer of {total:,} flights is killed {PRODUCER_KILLS} times on the way"
    screen.say(told)
    arguments = () if rate is None else ("--rate", str(rate))
    _publish_whole(project, _FIRST)
    with ThreadPoolExecutor(1) as background, screen.progress({"flights committed": total}) as reached:
        others = background.submit(_publish_whole, project, _BESIDE)
        moments = random_moments(seed, total, PRODUCER_KILLS)
        watch, told_to = TopicWatch(servers.kafka, _KILLED), reached["flights committed"]
        kills = publish_and_kill(project, _KILLED, watch, moments, told_to, arguments)
        others.result()
    return kills


def _publish_whole(project: Project, names: tuple[str, ...]) -> None:
    for name in names:
        project.finish("produce", name, project.start("produce", name))


def _process(screen: Screen, project: Project, servers: _Servers, seed: int, kills: int) -> list[PipelineKill]:
    names = " and ".join(pipeline.name for pipeline in PIPELINES)
    screen.say(f"running {names}; the worker of each is killed {kills} times on the way")
    totals = {
        pipeline.name: sum(sum(TopicWatch(servers.kafka, topic).committed().values()) for topic in pipeline.inputs)
        for pipeline in PIPELINES
    }
    with screen.progress(totals) as reached:
        return run_all(project, servers.kafka, seed=seed, kills=kills, reached=reached)


def _observe(servers: _Servers, expected: dict[str, Expected]) -> dict[str, Observed]:
    dead_letter_topics: dict[str, tuple[str, ...]] = {name: (f"dlq.{name}",) for name in IDENTITY}
    for pipeline in PIPELINES:
        dead_letter_topics[pipeline.outputs[0]] = pipeline.dead_letter_topics  # once for each pipeline
    return {
        name: observe(Source(servers.kafka, servers.registry_url, name, dead_letter_topics.get(name, ()), due.fields))
        for name, due in expected.items()
    }


def _count_committed(kills: list[Kill], observed: Observed) -> None:
    """How many of the records were committed at each kill: those below the last stable offset of that moment."""
    for kill in kills:
        kill.committed = sum(
            record.offset < kill.last_stable_offsets.get(record.partition, 0) for record in observed.records
        )
