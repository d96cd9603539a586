"""The demo: servers up; publish; run the pipelines; bring dead letters back, all of it killed; read back; compare."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import penstock as ps
from demo.atomicity import torn
from demo.broker_faults import BrokerFault, failing_brokers
from demo.broker_files import TopicFiles
from demo.coordinator_log import CoordinatorLog
from demo.directory import Directory, names_in
from demo.expected import IDENTITY, Expected, expect
from demo.figures import Actor, Gauge, ProducerGauge
from demo.fold import Fold, TaskLog, fold
from demo.observed import Observed, Source, observe
from demo.pipelines import FLIGHT_STATUS, FOLDED, PipelineInDemo
from demo.process import WORKERS, Cluster, Finale, PipelineKill, count_aborted, run_all
from demo.project import Project, environment
from demo.publish import Kill, publish_and_kill, publish_whole, random_moments
from demo.redrive import bring_back, judge_redrive
from demo.report import Report, report_of
from demo.screen import Screen
from demo.task_logs import Findings, rules_of, task_logs
from demo.totals import Totals, judge, totals
from demo.verdict import DataSet, Places, compare
from demo.watch import TopicWatch
from penstock.embedded import KafkaCluster
from penstock.embedded.registry import RegistryServer
from producers.table import data_directory

PRODUCER_KILLS = 3
KILLS_PER_PIPELINE = 5
_ROOT = Path(__file__).parent.parent
_KILLED = "flights"
_BESIDE = ("planes", "airlines", "airports", "weather")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do.

    Attributes:
        seed: of the moments of the kills.
        rate: flights a second at most, so that there is time to watch; None = as fast as they go.
        kills_per_pipeline: of its workers; the verdict asks for enough of them.
        workers: of each pipeline, one number after the other.
        redrive_kills: of the redrive.
        pipelines: to run; the one with the dead letters is among them.
        nodes: brokers, 1 or 3; of three, one after the other fails.
    """

    seed: int
    rate: int | None = None
    kills_per_pipeline: int = KILLS_PER_PIPELINE
    workers: Sequence[int] = WORKERS
    redrive_kills: int = 1
    pipelines: Sequence[PipelineInDemo] = FOLDED
    nodes: int = 1


def run(screen: Screen, plan: Plan) -> Report:
    """Run the demo and print its verdict."""
    began = time.monotonic()
    screen.say(f"a year of flights from New York, through Kafka and {len(plan.pipelines)} pipelines; seed {plan.seed}")
    screen.say("starting Kafka and a schema registry; computing from the files what must come out of them")
    embedded = ps.load_config(_ROOT).embedded
    with ThreadPoolExecutor(1) as background:
        # What must be in the topics is computed while the broker starts, when there is nothing else to do.
        expecting = background.submit(_expect)
        with (
            KafkaCluster(nodes=plan.nodes, java=embedded.java, jars=embedded.jars) as kafka,
            RegistryServer(bootstrap_servers=kafka.bootstrap_servers) as registry,
            Directory(names_in(data_directory())) as directory,
        ):
            screen.say(f"Kafka is up at {kafka.bootstrap_servers}, the schema registry at {registry.url}")
            cluster = Cluster(kafka.bootstrap_servers, kafka.log_directory(1))
            expected, due = expecting.result()
            outputs = {topic for pipeline in plan.pipelines for topic in pipeline.outputs}
            due = {name: each for name, each in due.items() if name in outputs}
            with failing_brokers(kafka, plan.seed, lambda fault: screen.say(_told(fault))) as broker_faults:
                done = _work(screen, cluster, registry.url, directory, expected, plan)
            screen.say("all done; reading the topics back with a bare consumer")
            fields = {name: each.fields for name, each in (expected | due).items()}
            observed = _observe(screen, cluster, registry.url, fields, plan.pipelines)
            logs = {pipeline.name: task_logs(pipeline, Findings(expected, observed), cluster) for pipeline in FOLDED}
            coordinator = CoordinatorLog(cluster.log_directory)
            coordinator.look()
            flights = _files(cluster, _KILLED)
            aborted_output = count_aborted(plan.pipelines, done.pipeline_kills, cluster.log_directory)
    screen.say("comparing them with the files, row by row and commit by commit")
    _count_committed(done.producer_kills, observed[_KILLED])
    report = report_of(
        _compare(expected, observed) | {name: judge(name, due[name], observed[name]) for name in due},
        {pipeline.name: _fold(pipeline, expected, logs[pipeline.name], coordinator) for pipeline in FOLDED},
        judge_redrive(
            expected[_KILLED],
            expected[FLIGHT_STATUS.outputs[0]],
            observed,
            kills=done.redrive_kills,
            turned_away=directory.turned_away,
        ),
        done.producer_kills,
        done.pipeline_kills,
        broker_faults,
        nodes=plan.nodes,
        aborted=flights.aborted,
        aborted_output=aborted_output,
        wall_s=time.monotonic() - began,
        seed=plan.seed,
    )
    screen.verdict(report)
    return report


def _expect() -> tuple[dict[str, Expected], dict[str, Totals]]:
    """({data set or output topic: its records}, {topic of totals: what it ends in})."""
    expected = expect(data_directory())
    return expected, totals(expected[_KILLED])


class _Done(NamedTuple):
    """What was killed on the way."""

    producer_kills: list[Kill]
    pipeline_kills: list[PipelineKill]
    redrive_kills: list[int]


def _work(
    screen: Screen,
    cluster: Cluster,
    registry_url: str,
    directory: Directory,
    expected: dict[str, Expected],
    plan: Plan,
) -> _Done:
    """Publish, then process, then bring dead letters back, all in the live view."""
    producers = {name: Actor(name) for name in (*_BESIDE, _KILLED)}
    pipelines = [(pipeline, Actor(pipeline.name)) for pipeline in plan.pipelines]
    project_name = ps.load_config(_ROOT).project.name
    shown: list[tuple[Actor, Gauge]] = [
        *(
            (actor, ProducerGauge(cluster.log_directory, name, f"{project_name}.{name}", expected[name].rows))
            for name, actor in producers.items()
        ),
        *((actor, cluster.gauge(pipeline)) for pipeline, actor in pipelines),
    ]
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as scratch:
        state, logs = Path(scratch, "state"), Path(scratch, "logs")
        logs.mkdir()
        project = Project(_ROOT, environment(cluster.bootstrap_servers, registry_url, state, directory.url), logs)
        redrive_kills: list[int] = []
        finale = Finale(
            FLIGHT_STATUS,
            lambda: redrive_kills.extend(bring_back(project, cluster, directory, plan.redrive_kills, screen.say)),
        )
        with screen.live(cluster.log_directory, shown):
            producer_kills = _publish(screen, project, cluster, producers, expected[_KILLED].rows, plan)
            pipeline_kills = _process(screen, project, cluster, pipelines, finale, plan)
        return _Done(producer_kills, pipeline_kills, redrive_kills)


def _publish(
    screen: Screen, project: Project, cluster: Cluster, producers: dict[str, Actor], total: int, plan: Plan
) -> list[Kill]:
    screen.say(
        f"publishing five data sets; the producer of {total:,} flights is killed {PRODUCER_KILLS} times on the way"
    )
    arguments = () if plan.rate is None else ("--rate", str(plan.rate))
    with project.threads(1) as background:
        others = background.submit(publish_whole, project, [producers[name] for name in _BESIDE])
        kills = publish_and_kill(
            project,
            producers[_KILLED],
            TopicWatch(cluster.bootstrap_servers, _KILLED),
            random_moments(plan.seed, total, PRODUCER_KILLS),
            arguments,
            lambda kill: screen.say(f"{_KILLED}: killed, {_died_with(kill.uncommitted)}"),
        )
        others.result()
    return kills


def _process(
    screen: Screen,
    project: Project,
    cluster: Cluster,
    pipelines: list[tuple[PipelineInDemo, Actor]],
    finale: Finale,
    plan: Plan,
) -> list[PipelineKill]:
    names = " and ".join(pipeline.name for pipeline, _ in pipelines)
    workers = ", then ".join(map(str, plan.workers))
    screen.say(f"running {names}, each with {workers} workers; {plan.kills_per_pipeline} of each are killed on the way")
    return run_all(
        project,
        cluster,
        pipelines,
        seed=plan.seed,
        kills=plan.kills_per_pipeline,
        workers=plan.workers,
        finale=finale,
        tell=lambda kill: screen.say(
            f"{kill.pipeline}: 1 of {kill.workers} killed, and its results go on after {kill.recovery_s:.1f} s"
        ),
    )


def _died_with(records: int) -> str:
    return f"with {records:,} records in its open transaction" if records else "between two transactions"


def _told(fault: BrokerFault) -> str:
    return f"broker {fault.node}, {fault.role}: {fault.kind} for {fault.lasted_s:.1f} s"


def _observe(
    screen: Screen,
    cluster: Cluster,
    registry_url: str,
    fields: dict[str, tuple[str, ...]],
    pipelines: Sequence[PipelineInDemo],
) -> dict[str, Observed]:
    dead_letter_topics: dict[str, tuple[str, ...]] = {name: (f"dlq.{name}",) for name in IDENTITY}
    for pipeline in pipelines:
        dead_letter_topics[pipeline.outputs[0]] = pipeline.dead_letter_topics  # once for each pipeline
    total = sum(_files(cluster, name).committed for name in fields)
    with screen.reading(total) as tell:
        return {
            name: observe(
                Source(cluster.bootstrap_servers, registry_url, name, dead_letter_topics.get(name, ()), asked), tell
            )
            for name, asked in fields.items()
        }


def _files(cluster: Cluster, topic: str) -> TopicFiles:
    files = TopicFiles(cluster.log_directory, topic)
    files.look()
    return files


def _compare(expected: dict[str, Expected], observed: dict[str, Observed]) -> dict[str, DataSet]:
    places = _places(expected[_KILLED], observed[_KILLED])
    return {name: compare(name, expected[name], observed[name], places) for name in expected}


def _places(expected: Expected, observed: Observed) -> Places:
    """Where in the topic each row is."""
    identity = [expected.fields.index(field) for field in IDENTITY[_KILLED]]
    found: dict[tuple[int, int], int] = {}
    for record in observed.records:
        due = None if record.values is None else expected.records.get(tuple([record.values[at] for at in identity]))
        if due is not None:
            found[record.partition, record.offset] = due.place
    return found


def _fold(
    pipeline: PipelineInDemo, expected: dict[str, Expected], logs: dict[int, TaskLog], coordinator: CoordinatorLog
) -> Fold:
    folded = fold(pipeline.name, logs, rules_of(pipeline, expected))
    touched = [each for name in pipeline.transactional_ids for each in coordinator.of(name).touched]
    folded.transactions = len(touched)
    folded.add(list(torn(pipeline, touched, logs)))
    return folded


def _count_committed(kills: list[Kill], observed: Observed) -> None:
    """How many of the records were committed at each kill: those below the last stable offset of that moment."""
    for kill in kills:
        kill.committed = sum(
            record.offset < kill.last_stable_offsets.get(record.partition, 0) for record in observed.records
        )
