"""What is shipped, in front of what it is for: workers of a pipeline, the lag exporter, and a real Prometheus.

Prometheus runs with the shipped configuration and rules; scrapes and cycles come every second instead of every fifteen.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

from penstock.monitoring.shipped.dashboards import DASHBOARDS
from penstock.monitoring.shipped.dashboards.overview import OVERVIEW
from penstock.monitoring.shipped.rules import ALERTS, RECORDED
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.servers.plant import COMMIT, WORKERS, Plant, plant
from tests.servers.prometheus import Prometheus
from tests.servers.shipped_queries import (
    EMPTY_WHILE_ALL_IS_WELL,
    MOMENTS,
    PANELS,
    RECORDED_SERIES,
    Question,
    of_panel,
    without_variables,
)

pytestmark = pytest.mark.servers

FILLED_BY_A_DEAD_LETTER = {
    "penstock-dead-letters: Dead letters",
    "penstock-dead-letters: Errors",
    "penstock-dead-letters: Most frequent errors, one hour",
}
FILLED_BY_AN_OPEN_TRANSACTION = {"penstock-groups: Held back", "penstock-groups: Stands still since"}
FILLED_BY_A_KILLED_WORKER = {"penstock-state: From revoke to commit"}
FILLED_BY_WORK = {"penstock-exactly-once: Open for"}
FILLED_BY_PRODUCERS = {
    "penstock-dead-letters: Rows that producers set aside",
    *(f"penstock-overview: {panel.title}" for row in OVERVIEW.rows if row.title == "Producers" for panel in row.panels),
}
"""None runs here."""
FILLED_BY_NOTHING_HERE = FILLED_BY_PRODUCERS | {
    "penstock-dead-letters: Its answers take",
    "penstock-dead-letters: What no schema explains, and what does not fit its schema",
    "penstock-exactly-once: Why they are discarded",
    "penstock-groups: Not well",
    "penstock-groups: Requests that failed",
    "penstock-overview: What fires",
    "penstock-state: Left to restore",
    "penstock-state: Restored in",
}
"""Only that Prometheus takes their queries is shown here."""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def watched(
    kafka: KafkaUnderTest, program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("watched")
    with plant(kafka, program("prometheus"), folder, folder.name) as found:
        yield found


def empty(prometheus: Prometheus, questions: list[Question]) -> list[str]:
    """Those that give nothing now."""
    return [f"{question.where}: {question.expr}" for question in questions if not prometheus.query(question.expr)]


def until_filled(prometheus: Prometheus, questions: list[Question], timeout_s: float = 30.0) -> None:
    """Wait until each of them has given something; not all at once, as some come and go."""
    deadline = time.monotonic() + timeout_s
    left = questions
    while left and time.monotonic() < deadline:
        left = [question for question in left if not prometheus.query(question.expr)]
        time.sleep(0.05)
    assert not left, "\n".join(f"{question.where}: {question.expr}" for question in left)


def questions_of(panels: set[str]) -> list[Question]:
    return [question for where in sorted(panels) for question in of_panel(where)]


def test_every_worker_the_exporter_and_prometheus_itself_are_up(watched: Plant) -> None:
    expected = {"penstock": ["up"] * WORKERS, "penstock-lag-exporter": ["up"], "prometheus": ["up"]}
    until(lambda: watched.prometheus.health_of_targets() == expected)
    assert watched.prometheus.total('sum(up{job="penstock"})') == WORKERS
    assert watched.prometheus.total(f'sum(penstock_build_info{{commit="{COMMIT}"}})') == WORKERS


def test_every_panel_and_every_recorded_series_is_filled_but_what_is_empty_while_all_is_well(watched: Plant) -> None:
    always = [question for question in (*PANELS, *RECORDED_SERIES) if not question.empty_while]
    assert len(always) > len(PANELS) / 2
    until_filled(watched.prometheus, [*always, *questions_of(FILLED_BY_WORK)])


def test_what_may_be_empty_is_asked_without_an_error_and_filled_by_a_fault_here_or_said_not_to_be(
    watched: Plant,
) -> None:
    for question in (*PANELS, *MOMENTS):
        watched.prometheus.query(question.expr)  # raises where it is refused
    by_faults = FILLED_BY_A_DEAD_LETTER | FILLED_BY_AN_OPEN_TRANSACTION | FILLED_BY_A_KILLED_WORKER | FILLED_BY_WORK
    assert by_faults | FILLED_BY_NOTHING_HERE == EMPTY_WHILE_ALL_IS_WELL


def test_every_rule_is_evaluated_without_an_error(watched: Plant) -> None:
    until(lambda: {rule["health"] for rule in watched.prometheus.rules()} == {"ok"})
    names = sorted(rule["name"] for rule in watched.prometheus.rules())
    assert names == sorted([*(rule.name for rule in RECORDED), *(alert.name for alert in ALERTS)])


def test_every_variable_of_a_dashboard_has_values(watched: Plant) -> None:
    queries = {query for dashboard in DASHBOARDS for query in dashboard.variables.values()}
    for query in sorted(queries):
        metric, label = without_variables(query).removeprefix("label_values(").removesuffix(")").split(", ")
        until(lambda metric=metric, label=label: watched.prometheus.label_values(metric, label) != [])  # type: ignore[misc]


def test_who_asks_by_the_names_of_other_exporters_is_answered(watched: Plant) -> None:
    group = f'"{watched.project.name}"'
    lag = f"sum(kafka_group_lag_offsets{{group={group}}})"
    for names in (
        f"kafka_consumergroup_lag{{consumergroup={group}}}",
        f"kafka_consumergroup_group_lag{{group={group}}}",
    ):
        assert watched.prometheus.query(names)
        until(lambda names=names: watched.prometheus.query(f"sum({names}) == {lag}") != [])  # type: ignore[misc]


def test_a_pipeline_at_work_rings_no_alert_but_the_one_that_always_rings(watched: Plant) -> None:
    until(lambda: firing(watched) == {"Watchdog"})
    assert watched.prometheus.query('max_over_time(ALERTS{alertname!="Watchdog",alertstate="firing"}[5m])') == []


def test_a_single_dead_letter_shows_wherever_dead_letters_are_shown(watched: Plant) -> None:
    began_s = time.time()
    watched.traffic.poison(TRACE)
    ask = watched.prometheus.total
    until(lambda: ask('sum(increase(penstock_records_total{outcome="dlq"}[1m]))') > 0)
    until(lambda: ask("sum(pipeline:dlq:ratio5m)") > 0)
    until_filled(watched.prometheus, questions_of(FILLED_BY_A_DEAD_LETTER))
    (errors,) = of_panel("penstock-dead-letters: Most frequent errors, one hour")
    (row,) = watched.prometheus.query(errors.expr)
    assert (row.labels["stage"], row.labels["error"], row.value) == ("process", "ValueError", 1)
    assert ask("sum(penstock_dlq_records_total)") == 1
    for counter, label, value in (
        ("penstock_errors_total", "error", "ValueError"),
        ("penstock_dlq_records_total", "stage", "process"),
    ):
        until(lambda counter=counter: watched.prometheus.exemplars(counter, began_s) != [])  # type: ignore[misc]
        found = watched.prometheus.exemplars(counter, began_s)
        assert {(labels[label], trace) for labels, trace in found} == {(value, TRACE)}


def test_a_transaction_that_stays_open_shows_as_long_as_it_does(watched: Plant) -> None:
    hanging = Producer({"bootstrap.servers": watched.kafka.bootstrap_servers, "transactional.id": watched.topic})
    hanging.init_transactions(30)
    hanging.begin_transaction()
    hanging.produce(watched.topic, b"1", b"key-0", partition=0)
    assert hanging.flush(30) == 0
    questions = questions_of(FILLED_BY_AN_OPEN_TRANSACTION)
    until_filled(watched.prometheus, questions)
    for question in questions:
        assert {sample.labels["partition"] for sample in watched.prometheus.query(question.expr)} == {"0"}
    hanging.abort_transaction(30)
    until(lambda: len(empty(watched.prometheus, questions)) == len(questions))


def test_a_killed_worker_shows_in_rebalances_and_as_a_process_that_began_anew(watched: Plant) -> None:
    ask, project = watched.prometheus.total, watched.project
    until(lambda: len(project.at_work(watched.supervisor)) == WORKERS)
    until(lambda: ask('count(penstock_build_info{job="penstock"})') == WORKERS)
    began_s = ask('max(process_start_time_seconds{job="penstock"})')
    name, process_id = next(iter(project.workers(watched.supervisor).items()))
    worker = f"{project.name}.{name}"
    assert worker in watched.prometheus.label_values("penstock_build_info", "worker")
    of_the_other = f'sum(penstock_rebalances_total{{worker!="{worker}"}})'
    rebalances = ask(of_the_other)
    held_by_the_other = f'sum(penstock_assigned_partitions{{worker!="{worker}"}})'
    # One that dies and is back within its session time-out gets what it had, and nothing moves.
    os.kill(process_id, signal.SIGSTOP)
    until(lambda: ask(held_by_the_other) == ask("max(penstock_expected_partitions)"))
    os.kill(process_id, signal.SIGKILL)
    until(lambda: ask('max(process_start_time_seconds{job="penstock"})') > began_s)
    until(lambda: ask(of_the_other) > rebalances)
    until_filled(watched.prometheus, questions_of(FILLED_BY_A_KILLED_WORKER))
    until(lambda: ask("sum(penstock_assigned_partitions)") == ask("max(penstock_expected_partitions)"))
    until(lambda: ask("sum(kafka_group_members)") == WORKERS)


def firing(watched: Plant) -> set[str]:
    return {sample.labels["alertname"] for sample in watched.prometheus.query('ALERTS{alertstate="firing"}')}
