"""`penstock plan` against what a worker has deployed, and the start that it foresees."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.cli.pipelines import Running, start_worker, write_pipeline

pytestmark = pytest.mark.broker

Penstock = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def deployed(kafka: KafkaUnderTest, project: Path, topic_prefix: str) -> Callable[..., None]:
    """A pipeline that was run once; calling it runs whatever the file says now."""
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(f"{topic_prefix}-in", 2)])
    write_pipeline(project, topic_prefix)

    def run(*options: str) -> None:
        with Running(start_worker(project, topic_prefix, *options)) as worker:
            worker.until_it_is_ours()
            worker.stop()

    run()
    return run


def test_a_pipeline_that_never_ran_is_all_new(
    kafka: KafkaUnderTest, project: Path, topic_prefix: str, penstock_process: Penstock
) -> None:
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(f"{topic_prefix}-in", 2)])
    write_pipeline(project, topic_prefix)
    shown = penstock_process("plan", topic_prefix)
    assert shown.returncode == 0, shown.stderr
    assert "deployed nothing that is recorded" in shown.stdout
    assert "✓ everything is new" in shown.stdout
    assert f"{topic_prefix}.topology" not in Admin(Connection(kafka.bootstrap_servers)).topics()


def test_the_code_that_runs_changes_nothing(
    deployed: Callable[..., None], topic_prefix: str, penstock_process: Penstock
) -> None:
    del deployed
    shown = penstock_process("plan", topic_prefix)
    assert shown.returncode == 0, shown.stderr
    assert re.search(rf"by {topic_prefix}\.[0-9a-f]{{8}}\.0 at 20", shown.stdout)
    assert "✓ nothing changes" in shown.stdout


def test_a_change_that_loses_nothing_is_told_and_goes_through(
    deployed: Callable[..., None], project: Path, topic_prefix: str, penstock_process: Penstock
) -> None:
    write_pipeline(project, topic_prefix, step='.filter(bool, name="no-blanks")')
    shown = penstock_process("plan", topic_prefix)
    assert shown.returncode == 0
    assert "✓ adds step 'no-blanks'" in shown.stdout
    deployed()
    assert "✓ nothing changes" in penstock_process("plan", topic_prefix).stdout


def test_a_change_that_loses_state_is_exit_code_1_and_the_worker_is_refused_until_it_is_accepted(
    deployed: Callable[..., None], project: Path, topic_prefix: str, penstock_process: Penstock
) -> None:
    write_pipeline(project, topic_prefix, store="by-word")
    shown, told = penstock_process("plan", topic_prefix), penstock_process("plan", topic_prefix, "--json")
    assert (shown.returncode, told.returncode) == (1, 1), shown.stderr
    assert "✗ renames store 'counts': it seems to be 'by-word' now" in shown.stdout
    assert "  → give it its old name back, 'counts'" in shown.stdout
    assert f"`penstock run {topic_prefix} --accept-state-loss`" in shown.stdout
    data = json.loads(told.stdout)
    assert (data["pipeline"], data["loses_state"], data["impossible"]) == (topic_prefix, True, False)
    assert re.fullmatch(rf"{topic_prefix}\.[0-9a-f]{{8}}\.0", data["deployed"]["writer"])
    assert data["deployed"]["fingerprint"] != data["code"]
    assert [(c["verb"], c["effect"], c["what"]) for c in data["changes"]] == [
        ("renames", "loses state", "store 'counts'")
    ]

    refused = penstock_process("run", topic_prefix)
    assert refused.returncode == 5
    assert "✗ renames store 'counts'" in refused.stderr
    assert "--accept-state-loss" in refused.stderr

    deployed("--accept-state-loss")
    assert penstock_process("plan", topic_prefix).returncode == 0
    assert json.loads(penstock_process("plan", topic_prefix, "--json").stdout)["deployed"]["accepted"] == [
        "renames store 'counts'"
    ]


def test_a_repartitioned_input_of_a_pipeline_with_state_is_told_with_what_to_do(
    kafka: KafkaUnderTest, deployed: Callable[..., None], topic_prefix: str, penstock_process: Penstock
) -> None:
    del deployed
    widen(kafka, f"{topic_prefix}-in", 4)
    shown = penstock_process("plan", topic_prefix)
    assert shown.returncode == 1
    assert (
        f"✗ repartitions source topic '{topic_prefix}-in': it has 4 partitions, 2 when it was deployed" in shown.stdout
    )
    refused = penstock_process("run", topic_prefix, "--accept-state-loss")
    assert refused.returncode == 3
    assert "repartitions" in refused.stderr


def widen(kafka: KafkaUnderTest, topic: str, partitions: int) -> None:
    from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(30)


def test_state_without_a_record_is_told_as_such(
    kafka: KafkaUnderTest, deployed: Callable[..., None], project: Path, topic_prefix: str, penstock_process: Penstock
) -> None:
    """The code that last ran goes on and is recorded; other code is refused where it meets the old state."""
    admin = Admin(Connection(kafka.bootstrap_servers))
    admin.delete([f"{topic_prefix}.topology"])
    shown = penstock_process("plan", topic_prefix)
    assert shown.returncode == 0
    assert f"{topic_prefix}.{topic_prefix}-in.changelog" in shown.stdout
    assert "cannot be told" in shown.stdout

    write_pipeline(project, topic_prefix, store="by-word")
    refused = penstock_process("run", topic_prefix)
    assert refused.returncode == 5, refused.stderr
    assert "not among those recorded" in refused.stderr
    write_pipeline(project, topic_prefix)
    deployed("--accept-state-loss")
    assert "✓ nothing changes" in penstock_process("plan", topic_prefix).stdout
