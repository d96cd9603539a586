"""The verdict as a whole: what was compared, what was killed, and whether that was enough to prove anything."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import msgspec

from demo.broker_faults import BrokerFault
from demo.expected import IDENTITY
from demo.fold import Fold
from demo.process import PipelineKill
from demo.publish import Kill
from demo.redrive import Redrive
from demo.verdict import DataSet

MIN_KILLS = 10
MIN_KILLS_INSIDE = 3


class Report(msgspec.Struct, kw_only=True):
    """What `--json` writes.

    Attributes:
        ok: whether nothing is lost, duplicated or wrong, after enough kills of enough effect.
        input_records: committed in the topics of the data sets.
        output_records: committed in the pipelines' output topics.
        dead_letters: of producers and pipelines, those that were brought back included.
        redriven: records that a redrive has made of dead letters.
        redrive_lost: dead letters of the cause that was mended without such a record, or without its result.
        redrive_duplicated: likewise, with several of either.
        lost: rows and results that are in no topic.
        duplicated: records and dead letters that were there already.
        wrong: records, dead letters or commits that should be others.
        kills: with SIGKILL, of the producer, of the workers and of the redrive.
        kills_inside: of workers with an open transaction: its aborted data is in the broker's files.
        recovery_s_p50: seconds from a worker's kill to its pipeline's next visible commit, the median.
        recovery_s_max: the longest of them.
        wall_s: seconds, from the start of the servers to the verdict.
        seed: of the moments of the kills.
        producer_kills: one by one.
        pipeline_kills: one by one.
        redrive: verdict on the dead letters that were brought back.
        nodes: brokers.
        broker_faults: brokers that were killed or paused, one by one.
        aborted: records of aborted transactions in the flights topic.
        aborted_output: likewise in the topics that the pipelines write: outputs, dead letters, changelogs.
        data_sets: {data set or output topic: verdict}.
        folds: {pipeline: verdict on its commits}.
    """

    ok: bool
    input_records: int
    output_records: int
    dead_letters: int
    redriven: int
    redrive_lost: int
    redrive_duplicated: int
    lost: int
    duplicated: int
    wrong: int
    kills: int
    kills_inside: int
    recovery_s_p50: float
    recovery_s_max: float
    wall_s: float
    seed: int
    producer_kills: list[Kill]
    pipeline_kills: list[PipelineKill]
    redrive: Redrive
    nodes: int
    broker_faults: list[BrokerFault]
    aborted: int
    aborted_output: int
    data_sets: dict[str, DataSet]
    folds: dict[str, Fold]

    def to_json(self) -> bytes:
        """The report as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def failures(self) -> Iterator[str]:
        """Why the verdict is FAIL; nothing when it is PASS."""
        if not all(found.ok for found in self.data_sets.values()):
            yield "the topics are not what the files say"
        if not self.folds or not all(found.ok for found in self.folds.values()):
            yield "the pipelines' commits are not those of one run over their input"
        yield from self.redrive.failures()
        if self.kills < MIN_KILLS:
            yield f"{self.kills} kills prove too little; {MIN_KILLS} are asked for"
        if self.kills_inside < MIN_KILLS_INSIDE:
            yield f"{self.kills_inside} kills inside a transaction prove too little; {MIN_KILLS_INSIDE} are asked for"
        if self.nodes > 1 and {fault.kind for fault in self.broker_faults} != {"killed", "paused"}:
            yield "no broker was killed, or none was paused"


def report_of(
    data_sets: dict[str, DataSet],
    folds: dict[str, Fold],
    redrive: Redrive,
    producer_kills: list[Kill],
    pipeline_kills: list[PipelineKill],
    broker_faults: list[BrokerFault],
    *,
    nodes: int,
    aborted: int,
    aborted_output: int,
    wall_s: float,
    seed: int,
) -> Report:
    """Add everything up."""
    inputs = [found for name, found in data_sets.items() if name in IDENTITY]
    outputs = [found for name, found in data_sets.items() if name not in IDENTITY]
    recoveries = [kill.recovery_s for kill in pipeline_kills] or [0.0]
    report = Report(
        ok=False,
        input_records=sum(each.records for each in inputs),
        output_records=sum(each.records for each in outputs),
        dead_letters=sum(each.dead_letters for each in data_sets.values()),
        redriven=redrive.redriven,
        redrive_lost=redrive.lost,
        redrive_duplicated=redrive.duplicated,
        lost=sum(each.missing for each in data_sets.values()),
        duplicated=sum(each.duplicates for each in data_sets.values()),
        wrong=sum(each.wrong for each in data_sets.values())
        + sum(each.wrong for each in folds.values())
        + redrive.wrong,
        kills=len(producer_kills) + len(pipeline_kills) + redrive.kills,
        kills_inside=sum(kill.aborted > 0 for kill in pipeline_kills),
        recovery_s_p50=round(median(recoveries), 2),
        recovery_s_max=max(recoveries),
        wall_s=round(wall_s, 1),
        seed=seed,
        producer_kills=producer_kills,
        pipeline_kills=pipeline_kills,
        redrive=redrive,
        nodes=nodes,
        broker_faults=broker_faults,
        aborted=aborted,
        aborted_output=aborted_output,
        data_sets=data_sets,
        folds=folds,
    )
    report.ok = not list(report.failures())
    return report
