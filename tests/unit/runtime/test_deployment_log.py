"""What is deployed is recorded once, compared with the very record before it, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError, OperatorMustDecide, ServerUnreachable
from penstock.kafka.reader import Isolation, RawRecord
from penstock.runtime.deployment_log import DeploymentLog, check, deployment_topic, history_of
from penstock.schemas.serdes import int64
from penstock.schemas.topic import Topic
from penstock.topology.deployment import Deployment, DeploymentRecord, deployment_of
from penstock.transactions.session import TransactionSession
from tests.unit.publishing.in_memory import Crash, Fault, InMemoryProducer, Log, ManualClock, Seen
from tests.unit.runtime.in_memory import raw

TOPIC = "p.topology"
IN, OUT = Topic("in", key=str, value=str), Topic("out", key=str, value=int64)


def deployed(build: Callable[[Pipeline], object], **partitions: int) -> Deployment:
    pipeline = Pipeline("p")
    build(pipeline)
    return deployment_of(pipeline.topology(), partitions)


COUNTS = deployed(lambda p: p.stream(IN).count(name="counts").to(OUT), **{"in": 3})
COUNTS_AND_STEP = deployed(lambda p: p.stream(IN).filter(str, name="step").count(name="counts").to(OUT), **{"in": 3})
TOTALS = deployed(lambda p: p.stream(IN).count(name="totals").to(OUT), **{"in": 3})
WIDER = deployed(lambda p: p.stream(IN).count(name="counts").to(OUT), **{"in": 6})
STATELESS = deployed(lambda p: p.stream(IN).map(len, name="length").to(OUT), **{"in": 3})
STATELESS_WIDER = deployed(lambda p: p.stream(IN).map(len, name="length").to(OUT), **{"in": 6})


@dataclass
class Cluster:
    """The topic, and the workers that start on it."""

    log: Log = field(default_factory=Log)
    clock: ManualClock = field(default_factory=ManualClock)

    def read(self, end: Isolation) -> Iterable[RawRecord]:
        if end == "read_uncommitted":
            assert not self.log.staged, "this would wait for an open transaction"
        return [raw(place, each.key, each.value) for place, each in enumerate(self.log.committed(TOPIC))]

    def worker(self, name: str = "p.0", on_step: Callable[[str], None] = lambda _: None) -> DeploymentLog:
        return DeploymentLog(
            TOPIC,
            read=self.read,
            session=lambda: TransactionSession(lambda: InMemoryProducer(self.log), clock=self.clock, hooks=Seen()),
            clock=self.clock,
            writer=name,
            release="1",
            on_step=on_step,
        )

    @property
    def recorded(self) -> list[Deployment]:
        return [record.deployment for record in self.records]

    @property
    def records(self) -> list[DeploymentRecord]:
        written = self.log.committed(TOPIC)
        found = [history_of(TOPIC, [raw(n, each.key, each.value)]).latest for n, each in enumerate(written)]
        return [each for each in found if each is not None]


def test_the_first_worker_records_what_it_runs_and_the_next_one_finds_it() -> None:
    cluster = Cluster()
    history = cluster.worker().record(COUNTS, accept_state_loss=False)
    assert history.latest == cluster.records[0]
    assert cluster.worker("p.1").record(COUNTS, accept_state_loss=False) == history
    assert cluster.recorded == [COUNTS]
    assert (cluster.records[0].writer, cluster.records[0].accepted) == ("p.0", ())
    assert cluster.log.calls_of["init"] == 1, "who has nothing to record fences nobody"


def test_a_change_that_loses_nothing_is_recorded() -> None:
    cluster = Cluster()
    cluster.worker().record(COUNTS, accept_state_loss=False)
    cluster.worker().record(COUNTS_AND_STEP, accept_state_loss=False)
    assert cluster.recorded == [COUNTS, COUNTS_AND_STEP]


def test_a_change_that_loses_state_is_refused_with_the_plan_and_both_ways_out() -> None:
    cluster = Cluster()
    cluster.worker("p.7").record(COUNTS, accept_state_loss=False)
    with pytest.raises(OperatorMustDecide) as caught:
        cluster.worker().record(TOTALS, accept_state_loss=False)
    told = str(caught.value)
    assert f"{COUNTS.fingerprint}, by p.7 at 1970-01-01T00:16:40Z" in told
    assert "✗ renames store 'counts'" in told
    assert "Mend the code" in told
    assert "`penstock run p --accept-state-loss`" in told
    assert caught.value.exit_code == 5
    assert cluster.recorded == [COUNTS]


def test_what_is_accepted_is_recorded_as_lost_and_need_not_be_accepted_again() -> None:
    cluster = Cluster()
    cluster.worker().record(COUNTS, accept_state_loss=False)
    cluster.worker().record(TOTALS, accept_state_loss=True)
    history = cluster.worker().record(TOTALS, accept_state_loss=False)
    assert history.latest is not None
    assert history.latest.accepted == ("renames store 'counts'",)
    assert cluster.recorded == [COUNTS, TOTALS]


def test_going_back_is_a_deploy_like_any_other() -> None:
    cluster = Cluster()
    for code in (COUNTS, COUNTS_AND_STEP, COUNTS):
        history = cluster.worker().record(code, accept_state_loss=False)
    for each in (history, cluster.worker().history()):
        assert list(each.records) == [COUNTS_AND_STEP.fingerprint, COUNTS.fingerprint]


def test_wider_inputs_are_recorded_where_nothing_is_kept_and_refused_where_state_is() -> None:
    cluster = Cluster()
    cluster.worker().record(STATELESS, accept_state_loss=False)
    cluster.worker().record(STATELESS_WIDER, accept_state_loss=False)
    assert cluster.recorded == [STATELESS, STATELESS_WIDER]
    other = Cluster()
    other.worker().record(COUNTS, accept_state_loss=False)
    with pytest.raises(ConfigurationError, match="cannot run on what is deployed") as caught:
        other.worker().record(WIDER, accept_state_loss=True)
    assert "repartitions" in str(caught.value)


# ---------------------------------------------------------------- two at once


def between_read_and_commit(cluster: Cluster, other: Deployment) -> Callable[[str], None]:
    """Another worker starts and records in the moment when this one has compared and not yet written."""
    left = [other]

    def on_step(step: str) -> None:
        if step == "deploy" and left:
            cluster.worker("p.1").record(left.pop(), accept_state_loss=False)

    return on_step


def test_a_worker_that_was_overtaken_compares_with_the_one_that_overtook_it() -> None:
    """Against what it had read first its code is harmless; against what is there by now it would lose state."""
    cluster = Cluster()
    cluster.worker().record(STATELESS, accept_state_loss=False)
    with pytest.raises(OperatorMustDecide, match="renames store 'counts'"):
        cluster.worker("p.0", between_read_and_commit(cluster, COUNTS)).record(TOTALS, accept_state_loss=False)
    assert cluster.recorded == [STATELESS, COUNTS]


def test_a_worker_that_was_overtaken_by_its_equal_has_nothing_left_to_do() -> None:
    cluster = Cluster()
    history = cluster.worker("p.0", between_read_and_commit(cluster, COUNTS)).record(COUNTS, accept_state_loss=False)
    assert cluster.recorded == [COUNTS]
    assert history.latest is not None
    assert history.latest.writer == "p.1"


def test_each_of_many_at_once_compares_with_the_one_before_it() -> None:
    cluster = Cluster()
    first = cluster.worker("p.0", between_read_and_commit(cluster, COUNTS_AND_STEP))
    first.record(COUNTS, accept_state_loss=False)
    assert cluster.recorded == [COUNTS_AND_STEP, COUNTS]


# ---------------------------------------------------------------- trouble


FAULTS = [fault for fault in Fault if fault not in {Fault.CRASH, Fault.CRASH_AFTER}]


@pytest.mark.parametrize("call", ["init", "begin", "produce", "flush", "commit"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
def test_whatever_a_call_answers_the_code_is_what_is_deployed(fault: Fault, call: str) -> None:
    cluster = Cluster()
    cluster.worker().record(STATELESS, accept_state_loss=False)
    cluster.log.planted = {(call, 2): fault}
    history = cluster.worker().record(COUNTS, accept_state_loss=False)
    assert cluster.recorded == [STATELESS, COUNTS]
    assert history == cluster.worker().history()


@pytest.mark.parametrize("call", ["init", "begin", "produce", "flush", "commit"])
@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CRASH_AFTER])
def test_after_a_crash_anywhere_the_same_code_goes_on_and_what_was_accepted_stays_accepted(
    fault: Fault, call: str
) -> None:
    cluster = Cluster()
    cluster.worker().record(COUNTS, accept_state_loss=False)
    cluster.log.planted = {(call, 2): fault}
    with pytest.raises(Crash):
        cluster.worker().record(TOTALS, accept_state_loss=True)
    is_recorded = cluster.recorded[-1] == TOTALS
    assert is_recorded == ((fault, call) == (Fault.CRASH_AFTER, "commit"))
    cluster.worker().record(TOTALS, accept_state_loss=not is_recorded)
    assert cluster.recorded == [COUNTS, TOTALS]


def test_what_cannot_be_recorded_ends_in_time() -> None:
    cluster = Cluster(clock=ManualClock(tick_s=0.5))
    cluster.log.planted = {("commit", n): Fault.ABORTED for n in range(1, 1_000)}
    with pytest.raises(ServerUnreachable, match=r"p\.topology: what is deployed could not be recorded within 120 s"):
        cluster.worker().record(COUNTS, accept_state_loss=False)
    assert cluster.recorded == []


def test_nothing_recorded_is_nothing_to_compare_with() -> None:
    assert check(Cluster().worker().history(), COUNTS, accept_state_loss=False).changes == ()


def test_the_topic_is_compacted_and_takes_any_time() -> None:
    settings = deployment_topic("p", "x.")
    assert (settings.name, settings.partitions) == ("x.p.topology", 1)
    assert settings.config["cleanup.policy"] == "compact"
    assert settings.config["message.timestamp.after.max.ms"] == str(2**63 - 1)


def test_a_tombstone_takes_nothing_back() -> None:
    cluster = Cluster()
    cluster.worker().record(COUNTS, accept_state_loss=False)
    records = [*cluster.read("read_committed"), raw(5, COUNTS.fingerprint.encode(), None)]
    assert history_of(TOPIC, records) == cluster.worker().history()
