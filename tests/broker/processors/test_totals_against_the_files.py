"""The re-keyed reference pipelines over flights of the real files, their workers dying on the way, against SQL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZipFile

import pytest

import penstock as ps
from demo.expected import expect
from demo.observed import Observed, Source, observe
from demo.totals import RUNNING_NUMBER, Totals, judge, totals
from penstock.embedded import KafkaCluster
from penstock.embedded.registry import RegistryServer
from penstock.kafka.client import Connection
from penstock.kafka.registry import RegistryClient
from penstock.protocols import TransactionHooks
from penstock.publishing.opening import Surroundings
from penstock.publishing.opening import opened as opened_producer
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from penstock.schemas.manifest import read_manifest
from penstock.schemas.register import register
from penstock.schemas.tree import load_tree, read_folder
from processors import airport_balance, carrier_totals
from producers import flights
from producers.table import data_directory

pytestmark = pytest.mark.broker

SCHEMAS = Path(__file__).parents[3] / "schemas"
NTH = 40


class Planted(Exception):
    """The end of a worker."""


class DiesAt(WorkerHooks):
    """Ends the worker when its nth transaction is about to be, or has been, committed."""

    def __init__(self, step: str, nth: int) -> None:
        self.step, self.left = step, nth

    def on_step(self, step: str) -> None:
        if step == self.step:
            self.left -= 1
            if not self.left:
                raise Planted


@dataclass(frozen=True)
class Results:
    """What the pipelines made of the flights, and what they had to."""

    due: dict[str, Totals]
    found: dict[str, Observed]
    deaths: int


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every 40th flight, and all of the small files."""
    whole, cut = data_directory(), tmp_path_factory.mktemp("cut")
    for name in ("airlines", "airports", "planes", "weather"):
        (cut / f"{name}.csv").write_bytes((whole / f"{name}.csv").read_bytes())
    with ZipFile(whole / "flights.csv.zip") as archive:
        header, *lines = archive.read("flights.csv").decode().splitlines()
    (cut / "flights.csv").write_text("\n".join([header, *lines[::NTH]]) + "\n")
    return cut


@pytest.fixture(scope="module")
def results(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """On a broker of its own: the pipelines read the topics that they name."""
    due = totals(expect(folder)["flights"])
    state = tmp_path_factory.mktemp("state")
    with KafkaCluster() as cluster, RegistryServer(bootstrap_servers=cluster.bootstrap_servers) as registry:
        schemas, connection = RegistryClient(registry.url), Connection(cluster.bootstrap_servers)
        # As in production: what is registered is what registry.toml says, and the topics of the pipelines' own.
        register(load_tree(read_folder(SCHEMAS)), read_manifest(SCHEMAS), schemas, dry_run=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NYCFLIGHTS_DIR", str(folder))
            around = Surroundings(connection=connection, registry=schemas, project="totals", state_directory=state)
            with opened_producer(flights.flights, around, TransactionHooks()) as producer:
                producer.run()
        deaths = sum(
            _run(pipeline, WorkerSurroundings(connection, schemas, state / pipeline.name, auto_register=False))
            for pipeline in (carrier_totals.pipeline, airport_balance.pipeline)
        )
        found = {
            name: observe(Source(cluster.bootstrap_servers, registry.url, name, (), due[name].fields))
            for name in RUNNING_NUMBER
        }
        schemas.close()
    return Results(due, found, deaths)


def _run(pipeline: ps.Pipeline, around: WorkerSurroundings) -> int:
    """Let workers die at different steps; the last one works to the end. How many died."""
    limits = WorkerLimits(commit_interval_s=0.02, max_batch_records=100)
    around = replace(around, limits=limits, purge_interval_s=0.5)
    deaths = 0
    for step, nth in (("marks", 9), ("committed", 6), ("send offsets", 7)):
        try:
            with opened(pipeline.topology(), around, DiesAt(step, nth)) as worker:
                _work(worker)
        except Planted:
            deaths += 1
    with opened(pipeline.topology(), around, WorkerHooks()) as worker:
        _work(worker)
        worker.close()
    return deaths


def _work(worker: Worker) -> None:
    """Until nothing has come for a while."""
    quiet = 0
    while quiet < 15:
        worker.step()
        quiet = quiet + 1 if worker.is_idle and worker.tasks else 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("topic", RUNNING_NUMBER)
def test_every_change_once_and_in_order_and_the_last_one_is_what_sql_says(results: Results, topic: str) -> None:
    found = judge(topic, results.due[topic], results.found[topic])
    assert found.ok, found.problems
    assert found.records == found.rows > 7_000
    assert results.deaths >= 5


def test_the_judge_judges(results: Results) -> None:
    """A record that is taken out, told twice, or changed is named, and by the right name."""
    topic = "carrier-totals"
    due, found = results.due[topic], results.found[topic].records
    place = next(place for place, record in enumerate(found) if record.key == "UA")
    last = max(place for place, record in enumerate(found) if record.key == "UA")
    changed = found[last]._replace(values=(*(found[last].values or ())[:-1], 9_999))
    for kind, tampered in (
        ("missing", [*found[:place], *found[place + 1 :]]),
        ("duplicates", [*found[: place + 1], *found[place:]]),
        ("wrong", [*found[:last], changed, *found[last + 1 :]]),
        ("missing", [*found[:last], *found[last + 1 :]]),
    ):
        verdict = judge(topic, due, Observed(tampered))
        assert getattr(verdict, kind) == 1, verdict
        assert not verdict.ok
        assert "UA" in verdict.problems[0]
