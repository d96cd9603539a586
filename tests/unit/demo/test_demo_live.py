"""The live view: what it counts, and how it reads."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from rich.console import Console

from demo import live
from demo.figures import Actor, Board, Figures, PipelineGauge, ProducerGauge, Status
from tests.unit.testing.log_bytes import data, marker

WORKER = (1, 0)


def append(folder: Path, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / f"{0:020d}.log").open("ab") as log:
        log.write(content)


def committed(folder: Path, offset: int, count: int) -> None:
    """A transaction of so many records, its marker behind them."""
    records = data(offset, *[(b"k", b"v")] * count, producer=WORKER, transactional=True)
    append(folder, records + marker(offset + count, WORKER, 1))


def test_a_pipelines_figures_are_those_of_the_brokers_files(tmp_path: Path) -> None:
    committed(tmp_path / "in-0", 0, 5)
    committed(tmp_path / "in-1", 0, 3)
    committed(tmp_path / "dlq.p.in-0", 0, 2)
    status = struct.pack(">hqhib", 1, *WORKER, 60_000, 4)
    append(tmp_path / "__transaction_state-0", data(0, (struct.pack(">hh", 0, 3) + b"p.0", status)))
    offsets = {("in", 0): 6, ("in", 1): 2}
    actor = Actor("p")
    gauge = PipelineGauge(tmp_path, ["in"], ["dlq.p.in", "dlq.p.table"], ("p.0", "p.1"), lambda: offsets)
    board = Board(tmp_path, [(actor, gauge)], window_s=2)

    assert board.look()[0].total == 0, "it waits"
    actor.started()
    (found,) = board.look()
    assert (found.records, found.total, found.lag, found.dead_letters) == (7, 8, 1, 2)
    assert (found.transactions, found.aborted, found.restarts) == (1, 0, 0)


def test_a_producers_rows_are_records_or_dead_letters(tmp_path: Path) -> None:
    actor = Actor("rows")
    actor.started()
    board = Board(tmp_path, [(actor, ProducerGauge(tmp_path, "rows", "project.rows", 10))], window_s=2)
    assert (board.look()[0].records, board.look()[0].lag) == (0, 10)
    committed(tmp_path / "rows-0", 0, 6)
    committed(tmp_path / "dlq.rows-0", 0, 1)
    (found,) = board.look()
    assert (found.records, found.lag, found.dead_letters) == (7, 3, 1)
    assert found.records_per_s > 0


def test_an_actor_is_working_once_it_has_achieved_something_since_its_start(tmp_path: Path) -> None:
    actor = Actor("rows")
    board = Board(tmp_path, [(actor, ProducerGauge(tmp_path, "rows", "project.rows", 10))], window_s=2)
    seen = [board.look()[0].status]
    actor.started()
    seen.append(board.look()[0].status)
    committed(tmp_path / "rows-0", 0, 4)
    seen.append(board.look()[0].status)
    actor.killed()
    seen.append(board.look()[0].status)
    actor.started()
    seen.append(board.look()[0].status)
    committed(tmp_path / "rows-0", 5, 4)
    seen.append(board.look()[0].status)
    actor.done()
    seen.append(board.look()[0].status)
    assert seen == [
        Status.WAITING,
        Status.STARTING,
        Status.WORKING,
        Status.KILLED,
        Status.COMING_BACK,
        Status.WORKING,
        Status.DONE,
    ]
    assert board.look()[0].restarts == 1


def test_a_pipeline_with_a_worker_left_goes_on_working() -> None:
    actor = Actor("p")
    actor.started()
    actor.started()
    actor.killed()
    assert (actor.status, actor.processes, actor.restarts) == (Status.STARTING, 1, 0)
    actor.started()
    assert (actor.status, actor.processes, actor.restarts) == (Status.STARTING, 2, 1)
    actor.stopped()
    actor.killed()
    assert (actor.status, actor.processes) == (Status.KILLED, 0)
    actor.started()
    assert (actor.status, actor.processes, actor.restarts) == (Status.COMING_BACK, 1, 2)


FIGURES = Figures(
    name="aircraft-rotation",
    status=Status.WORKING,
    processes=1,
    restarts=1,
    records=123_456,
    total=336_771,
    records_per_s=12_345.6,
    transactions=345,
    aborted=4,
    dead_letters=806,
)


def test_a_line_tells_it_in_words() -> None:
    assert live.line(FIGURES) == (
        "aircraft-rotation: 123,456 records (12,346/s), lag 213,315; 345 transactions, 4 aborted; 806 dead letters; "
        "1 restart"
    )
    assert live.line(replace(FIGURES, processes=3)).startswith("aircraft-rotation (3 workers): 123,456 records")
    assert live.line(replace(FIGURES, status=Status.COMING_BACK)).endswith("1 restart (coming back)")


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_table_fits_a_terminal_and_shows_every_figure(width: int) -> None:
    console = Console(width=width)
    waiting = Figures("flight-status", Status.WAITING, 0, 0, 0, 0, 0.0, 0, 0, 0)
    is_wide = width >= 100
    with console.capture() as captured:
        console.print(live.table([FIGURES, waiting], is_wide=is_wide))
    lines = captured.get().splitlines()
    assert len(lines) == 4, "two of headings, one for each of the actors"
    figures = ["aircraft-rotation", "123,456", "213,315", "12,346", "345", "4", "806", "1", "1"]
    assert lines[2].split() == figures + ["working"] * is_wide
    assert lines[3].split() == ["flight-status"] + ["waiting"] * is_wide


def test_off_a_terminal_only_those_at_work_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LINES_EVERY_S", 0.001)
    actors = [Actor("idle"), Actor("busy"), Actor("finished")]
    actors[1].started()
    actors[2].started()
    actors[2].done()
    gauges = [(actor, ProducerGauge(tmp_path, actor.name, f"project.{actor.name}", 10)) for actor in actors]
    said: list[str] = []
    stop = Event()

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 3:
            stop.set()

    live.tell(say, Board(tmp_path, [*gauges], window_s=5), stop)
    assert [text.partition(":")[0] for text in said] == ["busy"] * 3
