"""`penstock run --workers` on a broker: whatever dies, the result is that of one worker that nothing happened to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.victims import members, nothing_is_open, until
from tests.broker.runtime import numbers_topic
from tests.broker.runtime.numbers_topic import Numbers
from tests.broker.runtime.worker_oracle import Topics, check
from tests.broker.supervisor.project import Project

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def numbers(kafka: KafkaUnderTest) -> Numbers:
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    return numbers_topic.publish(kafka.bootstrap_servers)


@pytest.fixture
def project(kafka: KafkaUnderTest, numbers: Numbers, topic_prefix: str, tmp_path: Path) -> Iterator[Project]:
    found = Project(kafka, tmp_path, topic_prefix, numbers)
    try:
        yield found
    finally:
        found.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until_at_work(project: Project, command: subprocess.Popen[str]) -> None:
    """Until each of two workers has committed numbers, and not all of them."""

    def is_so() -> bool:
        assert command.poll() is None, project.told(command)
        return len(project.at_work(command)) == 2

    until(is_so)
    before = sum(project.committed())
    until(lambda: sum(project.committed()) > before)
    assert not project.is_done(), "there was nothing left to interrupt"


def finish(project: Project, command: subprocess.Popen[str]) -> None:
    """Let it deal with all numbers, stop it, and judge what came of them."""

    def is_done() -> bool:
        assert command.poll() is None, project.told(command)
        return project.is_done()

    until(is_done, timeout_s=90)
    command.terminate()
    assert command.wait(60) == 0, project.told(command)
    topics = Topics.of(project.name, project.numbers.topic)
    until(lambda: nothing_is_open(project.kafka, topics.sums, topics.changelog, topics.dead_letters))
    check(project.kafka, project.name, project.numbers)


def test_a_worker_that_is_killed_changes_nothing(project: Project) -> None:
    """It comes back under its own name; its supervisor and its neighbour are the same as before."""
    project.write()
    command = project.run("--workers", "2")
    until_at_work(project, command)
    before = project.workers(command)
    (first, other) = sorted(before)
    os.kill(before[first], signal.SIGKILL)
    until(lambda: project.workers(command)[first] != before[first])
    assert project.workers(command)[other] == before[other]
    finish(project, command)
    assert "was killed by SIGKILL" in project.told(command)


def test_a_signal_has_the_workers_commit_and_leave(project: Project) -> None:
    """Nothing is open afterwards and nobody is in the group; another start goes on behind it."""
    project.write()
    command = project.run("--workers", "2", "--instance", "left")
    until_at_work(project, command)
    command.terminate()
    assert command.wait(60) == 0, project.told(command)
    assert members(project.kafka, project.name) == 0
    topics = Topics.of(project.name, project.numbers.topic)
    until(lambda: nothing_is_open(project.kafka, topics.sums, topics.changelog, topics.dead_letters), timeout_s=10)
    assert not project.is_done()
    assert set(project.workers(command)) == {"left.0", "left.1"}
    again = project.run(PENSTOCK_PROCESSING__WORKERS="2", PENSTOCK_PROCESSING__INSTANCE="right")
    finish(project, again)
    assert set(project.workers(again)) == {"right.0", "right.1"}


def test_a_supervisor_that_is_killed_takes_its_workers_with_it(project: Project) -> None:
    """None is left to hold a name; the next start has the same names, and goes on."""
    project.write()
    command = project.run("--workers", "2")
    until_at_work(project, command)
    workers = project.workers(command)
    command.kill()
    until(lambda: not any(is_alive(pid) for pid in workers.values()))
    again = project.run("--workers", "2")
    finish(project, again)
    assert project.workers(again).keys() == workers.keys()
    assert not set(project.workers(again).values()) & set(workers.values())


def test_workers_that_stand_in_front_of_a_bad_record_are_not_started_again(project: Project) -> None:
    """There is one in every partition: in the end no worker is left, and the exit code says who must act."""
    project.write(pause_s=0.0, on_error="fail")
    command = project.run("--workers", "2")
    assert command.wait(120) == 5, project.told(command)
    told = project.told(command)
    assert told.count("worker is process") == 2, told
    assert told.count("ended with exit code 5, and is not started again") == 2, told
    first_bad = {partition: min(o for p, o in project.numbers.bad if p == partition) for partition in range(3)}
    assert project.committed() == [first_bad[partition] for partition in range(3)]


def test_records_that_all_kill_their_worker_are_a_crash_loop(project: Project) -> None:
    project.write(extra="print('at', text, flush=True) or os._exit(77) if text >= '500' else None")
    command = project.run("--workers", "2")
    assert command.wait(120) == 77, project.told(command)
    told = project.told(command)
    assert "7 deaths of workers within a minute" in told, told
    assert told.count("at ") >= 7


def test_a_record_that_kills_its_worker_is_set_aside_wherever_it_goes(project: Project) -> None:
    """Its partition goes from the one to the other; they know of each other's deaths, and it is no crash loop."""
    project.write(extra="os._exit(77) if text == '500' else None")
    command = project.run("--workers", "2")
    until(project.is_done, timeout_s=120)
    command.terminate()
    assert command.wait(60) == 0, project.told(command)
    assert 4 <= project.told(command).count("ended with exit code 77") <= 6
    assert killed(project) == [b"500"]


def test_code_that_never_comes_back_is_ended_and_its_record_set_aside(project: Project) -> None:
    """A loop without an end at one record: the process ends itself, and the fifth of them leaves the record out."""
    project.write(pause_s=0.0, extra="while text == '1000': pass")
    command = project.run("--workers", "1", PENSTOCK_PROCESSING__HUNG_AFTER_MS="700")
    until(project.is_done, timeout_s=90)
    command.terminate()
    assert command.wait(60) == 0, project.told(command)
    told = project.told(command)
    assert told.count("was killed by SIGALRM (its code did not come back)") == 4, told
    assert re.search(r"line \d+ in parse", told), "the last words of a process name the code it was in"
    assert killed(project) == [b"1000"]


def killed(project: Project) -> list[bytes | None]:
    """What was set aside because it kills; all else that was set aside was bad from the start."""
    topic = Topics.of(project.name, project.numbers.topic).dead_letters
    letters = [record for records in read(project.kafka.bootstrap_servers, topic).values() for record in records]
    found = [each.value for each in letters if dict(each.headers)["penstock.dlq.reason"] == b"killed"]
    assert len(letters) == len(project.numbers.bad) + len(found)
    return found


def test_a_second_process_of_the_same_name_ends_at_once(project: Project) -> None:
    """Whether it is one worker or a supervisor; the first goes on."""
    project.write()
    first = project.run("--workers", "2")
    until_at_work(project, first)
    workers = project.workers(first)
    one = project.run()
    assert one.wait(60) == 6, project.told(one)
    assert f"already running here as process {workers[min(workers)]}" in project.told(one)
    several = project.run("--workers", "2")
    assert several.wait(60) == 6, project.told(several)
    assert project.told(several).count("worker is process") == 2
    assert project.workers(first) == workers
    third = project.run("--instance", "another")
    until(lambda: members(project.kafka, project.name) == 3)
    third.terminate()
    assert third.wait(60) == 0, project.told(third)
    finish(project, first)
