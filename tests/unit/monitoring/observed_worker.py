"""A worker on a small cluster in memory, with its metrics."""

from __future__ import annotations

from penstock.dsl.pipeline import Pipeline
from penstock.monitoring.schema_metrics import ObservedRegistry
from penstock.monitoring.worker_metrics import Place, WorkerMetrics
from penstock.protocols import SchemaRegistry
from penstock.runtime.limits import WorkerLimits
from penstock.schemas.topic import Topic
from tests.unit.monitoring.parsing import Series, scraped, value
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Cluster, Disk, Running, running

IN = Topic("in", key=str, value=str)
OUT = Topic("out", key=str, value=str)
ROWS = 10
PLACE = Place("p", "kafka", "1.0", "c0ffee", "2.16", 60.0, 30.0)


class Observed:
    """A worker and its metrics."""

    def __init__(
        self,
        cluster: Cluster,
        pipeline: Pipeline,
        *,
        limits: WorkerLimits | None = None,
        disk: Disk | None = None,
        registry: SchemaRegistry | None = None,
    ) -> None:
        self.made: list[WorkerMetrics] = []

        def told(clock: ManualClock) -> WorkerMetrics:
            self.made.append(WorkerMetrics(PLACE, clock))
            return self.made[0]

        def looked_at() -> SchemaRegistry:
            assert registry is not None
            return ObservedRegistry(registry, self.metrics.schemas)

        self.run: Running = running(
            cluster, pipeline, limits, disk, told=told, registry=None if registry is None else looked_at
        )
        self.metrics.watch(self.run.worker)
        self.metrics.on_join("p", {topic: cluster.width(topic) for topic, _ in cluster.inputs}, 120.0)

    @property
    def metrics(self) -> WorkerMetrics:
        return self.made[0]

    def scrape(self) -> dict[Series, float]:
        return scraped(self.metrics.families())

    def value(self, name: object, **labels: str) -> float | None:
        return value(self.scrape(), str(name), **labels)


def cluster(partitions: int = 1, bad: int | None = None) -> Cluster:
    values = [b"bad" if n == bad else b"%d" % n for n in range(ROWS)]
    return Cluster(
        {("in", p): [(n, b"k%d" % p, values[n], 990_000 + n) for n in range(ROWS)] for p in range(partitions)}
    )


def sums(on_error: str = "fail") -> Pipeline:
    made = Pipeline("p", on_error=on_error)  # type: ignore[arg-type] # from a parametrised test
    numbers = made.stream(IN).filter(lambda text: text != "3", name="no-3").map(int, name="parse")
    numbers.aggregate(int, lambda total, n: total + n, name="sum").to_stream().map(str, name="show").to(OUT)
    return made
