"""What becomes of workers that die, and of signals; real processes, in which a shell plays the worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.unit.supervisor.supervised import is_alive, kill, supervised, until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")

STEADY = 'trap "exit 0" TERM INT; echo $$ > "$2/$1.pid"; while :; do sleep 0.05; done'
"""A worker that notes its process id once it can be told to end, and ends then."""


def pid_of(folder: Path, worker: int = 0) -> int:
    """Of a worker, once it has noted it."""
    file = folder / f"{worker}.pid"
    until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


def test_a_worker_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with supervised(STEADY, tmp_path, workers=2) as process:
        first, other = pid_of(tmp_path), pid_of(tmp_path, 1)
        os.kill(first, signal.SIGKILL)
        until(lambda: pid_of(tmp_path) != first)
        assert is_alive(other)
        assert pid_of(tmp_path, 1) == other, "its neighbour goes on"
        process.terminate()
        _, told = process.communicate(timeout=30)
    assert process.returncode == 0, told
    assert "worker was killed by SIGKILL" in told


def test_a_worker_that_is_asked_to_end_by_somebody_else_is_started_again(tmp_path: Path) -> None:
    with supervised(STEADY, tmp_path) as process:
        first = pid_of(tmp_path)
        os.kill(first, signal.SIGTERM)
        until(lambda: pid_of(tmp_path) != first)
        assert process.poll() is None


@pytest.mark.parametrize("code", [2, 3, 5, 6])
def test_a_worker_that_would_end_so_again_is_not_started_again(tmp_path: Path, code: int) -> None:
    """The others go on; once none is left, the supervisor ends with the code."""
    script = f'echo >> "$2/starts"; [ "$1" = 1 ] || exit {code}; {STEADY.replace("exit 0", f"exit {code}")}'
    with supervised(script, tmp_path, workers=2) as process:
        other = pid_of(tmp_path, 1)
        until(lambda: (tmp_path / "starts").read_text().count("\n") == 2)
        assert process.stderr is not None
        line = ""
        while "not started again" not in line:
            line = process.stderr.readline()
            assert line
        assert is_alive(other)
        os.kill(other, signal.SIGTERM)
        assert process.wait(30) == code
    assert (tmp_path / "starts").read_text().count("\n") == 2


@pytest.mark.parametrize("code", [1, 4, 70])
def test_a_crash_loop_ends_everything_with_its_last_words_and_its_code(tmp_path: Path, code: int) -> None:
    script = f'[ "$1" = 1 ] || {{ echo "words of" >&2; echo "$1" >&2; exit {code}; }}; {STEADY}'
    with supervised(script, tmp_path, workers=2, max_deaths=2) as process:
        out, told = process.communicate(timeout=30)
        assert process.returncode == code
    assert "3 deaths of workers within a minute" in told
    assert f"ended with exit code {code}, and its last words were: words of | 0 " in told
    assert out == ""
    assert not is_alive(pid_of(tmp_path, 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_once_and_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    """The workers finish what they are at; a terminal's Ctrl-C does not reach them a second time, by itself."""
    script = (
        'n=0; trap "n=\\$((n+1))" TERM INT; echo $$ > "$2/$1.pid"; '
        'while [ $n = 0 ]; do sleep 0.05; done; sleep 0.3; echo "$1 had $n"; exit 0'
    )
    with supervised(script, tmp_path, workers=2) as process:
        for worker in (0, 1):
            pid = pid_of(tmp_path, worker)
            assert os.getpgid(pid) == pid, "a process group of its own, which no terminal interrupts"
        process.send_signal(number)
        out, told = process.communicate(timeout=30)
    assert process.returncode == 0, told
    assert sorted(out.splitlines()) == ["0 had 1", "1 had 1"]


def test_a_second_signal_is_passed_on_too(tmp_path: Path) -> None:
    script = (  # the first may come as SIGTERM, where it came when the supervisor had no process yet to pass it on to
        'n=0; trap "n=\\$((n+1)); echo > $2/first" INT TERM; echo $$ > "$2/$1.pid"; '
        "while [ $n -lt 2 ]; do sleep 0.05; done; exit 130"
    )
    with supervised(script, tmp_path) as process:
        pid_of(tmp_path)
        process.send_signal(signal.SIGINT)
        until((tmp_path / "first").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_who_started_it_knows_the_first_process_from_those_that_follow(tmp_path: Path) -> None:
    """What was accepted for the code of the first start is not accepted for that of a later one."""
    script = f'echo $3 >> "$2/firsts"; [ "$(wc -l < "$2/firsts")" -ge 3 ] || exit 70; {STEADY}'
    with supervised(script, tmp_path):
        pid_of(tmp_path)
    assert (tmp_path / "firsts").read_text() == "True\nFalse\nFalse\n"


def test_a_third_signal_kills(tmp_path: Path) -> None:
    # The first may come as SIGTERM: see above.
    script = 'n=0; trap "n=\\$((n+1)); echo > $2/\\$n" INT TERM; echo $$ > "$2/$1.pid"; while :; do sleep 0.05; done'
    with supervised(script, tmp_path) as process:
        pid = pid_of(tmp_path)
        for count in ("1", "2"):
            process.send_signal(signal.SIGINT)
            until((tmp_path / count).exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 137
    assert not is_alive(pid)


def test_a_worker_that_does_not_stop_in_time_is_killed(tmp_path: Path) -> None:
    script = 'trap "" TERM; echo $$ > "$2/$1.pid"; while :; do sleep 0.05; done'
    with supervised(script, tmp_path, grace_s=0.2) as process:
        pid = pid_of(tmp_path)
        process.terminate()
        _, told = process.communicate(timeout=30)
    assert process.returncode == 137
    assert told.count("has not stopped in time") == 1
    assert not is_alive(pid)


def test_a_worker_that_waits_to_be_started_again_is_not_started_after_a_signal(tmp_path: Path) -> None:
    script = f'echo >> "$2/starts-$1"; [ "$1" = 1 ] || exit 70; {STEADY}'
    with supervised(script, tmp_path, workers=2, max_deaths=1000) as process:
        pid_of(tmp_path, 1)
        assert process.stderr is not None
        for _ in range(4):  # by then it waits for seconds between two starts
            while "the next is started in" not in process.stderr.readline():
                assert process.poll() is None
        process.terminate()
        assert process.wait(30) == 0
    assert (tmp_path / "starts-0").read_text().count("\n") == 4


def test_what_a_worker_has_started_goes_with_it(tmp_path: Path) -> None:
    """A child that lives on would keep the locks of the worker, which then could not come back."""
    script = (
        'if [ ! -e "$2/child" ]; then sleep 300 & echo $! > "$2/child.part"; mv "$2/child.part" "$2/child"; exit 70; '
        f"fi; {STEADY}"
    )
    with supervised(script, tmp_path):
        until((tmp_path / "child").exists)
        child = int((tmp_path / "child").read_text())
        try:
            pid_of(tmp_path)
            until(lambda: not is_alive(child))
        finally:
            kill(child)


def test_lines_of_several_workers_are_whole(tmp_path: Path) -> None:
    """Each worker writes its lines in two halves with a pause between; the last one without an end."""
    script = (
        'for i in 1 2 3 4 5 6 7 8 9; do printf "worker %s says " $1 >&2; sleep 0.02; printf "line %s\\n" $i >&2; done; '
        'printf "worker %s says the end" $1 >&2; echo "out $1"; exit 3'
    )
    with supervised(script, tmp_path, workers=3) as process:
        out, told = process.communicate(timeout=30)
    assert process.returncode == 3
    lines = [line for line in told.splitlines() if "penstock.supervisor" not in line]
    for worker in range(3):
        mine = [line for line in lines if line.startswith(f"worker {worker} ")]
        assert mine == [f"worker {worker} says line {i}" for i in range(1, 10)] + [f"worker {worker} says the end"]
    assert len(lines) == 30
    assert sorted(out.split("\n")) == ["", "out 0", "out 1", "out 2"]


def test_a_reader_that_goes_away_does_not_stop_the_work(tmp_path: Path) -> None:
    talks = "until [ -e $2/gone ]; do sleep 0.01; done; echo x; echo y >&2"
    script = STEADY.replace("while", f"{talks}; while", 1)
    with supervised(script, tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = pid_of(tmp_path)
        process.stdout.close()
        process.stderr.close()
        (tmp_path / "gone").touch()
        os.kill(first, signal.SIGKILL)
        until(lambda: pid_of(tmp_path) != first)
        assert process.poll() is None
        process.terminate()
        assert process.wait(30) == 0
