"""The page "Processors": its code is type-checked, and does what the page says."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from tests.typing import processors as page
from tests.unit.operators.one_task import OneTask, Raw, StillClock

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "reference" / "processors.md").read_text()
CODE = (ROOT / "tests" / "typing" / "processors.py").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
HOUR_MS = 3_600_000

IN = ps.Topic("in", key=str, value=str)
OUT = ps.Topic("out", key=str, value=str)
COUNTS = ps.Topic("counts", key=str, value=ps.int_text)


def texts(given: Any, values: list[str], **options: Any) -> tuple[OneTask, list[bytes | None]]:
    """The task, and what it writes for values of one key."""
    pipeline = ps.Pipeline("p", **options)
    pipeline.stream(IN).process(given).to(OUT)
    task = OneTask(pipeline)
    seen = task.feed([Raw("in", b"k", value.encode()) for value in values])
    return task, [value for _, value, *_ in seen.written.get("out", [])]


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0] for block in BLOCKS])
def test_a_block_is_code_that_the_type_checkers_see(block: str) -> None:
    assert block in CODE


def test_the_page_shows_all_of_that_code() -> None:
    assert len(BLOCKS) == 7
    rest = CODE
    for block in BLOCKS:
        rest = rest.replace(block, "")
    defined = re.findall(r"^(?:def|class) (\w+)", rest, re.MULTILINE)
    assert defined == ["Mail"]


def test_a_function_numbers_the_records_of_each_key() -> None:
    task = OneTask(page.pipeline)
    seen = task.feed([Raw("lines", key, b"line") for key in (b"a", b"b", b"a")])
    assert [value for _, value, *_ in seen.written["numbered"]] == [b"1 line", b"1 line", b"2 line"]


def test_an_object_of_a_class_passes_on_every_third(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="penstock.processor"):
        task, written = texts(page.Every(3), list("abcdefg"))
    assert written == [b"c", b"f"]
    assert [record.getMessage() for record in caplog.records] == ["left out"] * 5
    task.close()


def test_a_class_is_made_for_each_task() -> None:
    assert texts(page.Every, list("abcdefghijk"))[1] == [b"j"]


def test_a_scan_leaves_out_its_end_and_may_delete_on_the_way() -> None:
    """The levels of the last 24 hours, this one included; another river's stay."""
    readings = ps.Topic("readings", key=str, value=ps.int_text)
    pipeline = ps.Pipeline("p")
    pipeline.stream(readings).process(page.highest_of_a_day).to(COUNTS)
    task = OneTask(pipeline)
    rows = [("inn", 0, 9), ("isar", 0, 7), ("isar", 23, 5), ("isar", 24, 4), ("isar", 46, 3), ("isar", 47, 2)]
    seen = task.feed(
        [Raw("readings", key.encode(), b"%d" % level, timestamp_ms=hour * HOUR_MS) for key, hour, level in rows]
    )
    assert [value for _, value, *_ in seen.written["counts"]] == [b"9", b"7", b"7", b"5", b"5", b"4"]
    assert [key for key, _ in task.store("levels").scan()] == [("inn", 0), ("isar", 24), ("isar", 46), ("isar", 47)]


def test_a_value_of_an_older_version_becomes_one_of_today() -> None:
    older = ps.StoreSpec("totals", key=str, value=int)
    assert page.TOTALS.value_codec().decode(older.value_codec().encode(250)) == page.Total(cents=250, currency="EUR")


def test_a_mail_is_asked_for_again_under_the_same_key_when_its_record_is_processed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second record fails in a step behind, so the batch is dropped and both are run again, one by one."""
    asked: list[tuple[str, str]] = []

    class Watched(page.Mail):
        def send(self, text: str, idempotency_key: str) -> None:
            asked.append((text, idempotency_key))
            super().send(text, idempotency_key)

    monkeypatch.setattr(page, "MAIL", Watched())
    pipeline = ps.Pipeline("p", on_error="dead_letter")
    pipeline.stream(IN).process(page.notify).process(page.parsed).to(COUNTS)
    seen = OneTask(pipeline).feed([Raw("in", b"k", b"12"), Raw("in", b"k", b"no number")])

    assert asked == [("12", "in:2:100:0"), ("no number", "in:2:102:0")] * 2
    assert page.MAIL.sent == {"in:2:100:0": "12", "in:2:102:0": "no number"}
    assert [value for _, value, *_ in seen.written["counts"]] == [b"12"]
    assert seen.dead == [("in", 102, "process", "parsed", "BadRecord")]


def test_what_a_record_put_into_a_store_is_undone_when_it_fails() -> None:
    @ps.processor(stores=[page.NUMBERS])
    def put_then_fail(record: ps.Record[str, str], ctx: ps.Context) -> list[ps.Record[str, str]]:
        ctx.store(page.NUMBERS).put(record.key, 1)
        raise ps.BadRecord("as it happens", reason="test")

    task, written = texts(put_then_fail, ["a"], on_error="dead_letter")
    assert written == []
    assert task.store("numbers").get("k") is None


def test_the_table_names_everything_that_a_context_has() -> None:
    own = {name for name in vars(ps.Context) if not name.startswith("_")} - {"take"}  # that one is the engine's
    section = TEXT.partition("## What `ctx` tells")[2].partition("\n## ")[0]
    named = {word.partition("(")[0] for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
             for word in re.findall(r"`([^`]+)`", row)}  # fmt: skip
    assert named == own | {"pipeline", "name", "task", "logger"}


def test_the_table_names_everything_that_a_store_has() -> None:
    section = TEXT.partition("## Stores")[2].partition("- **Keys**")[0]
    named = set(re.findall(r"`(\w+)\(", section))
    by_column = {"full_keys", "entry", "write", "remove", "fold"}  # for operators that work on columns
    assert named == {name for name in vars(ps.Store) if not name.startswith("_")} - by_column


def test_the_clock_is_the_tasks_own() -> None:
    told: list[int] = []

    def ask(_: ps.Record[str, str], ctx: ps.Context) -> list[ps.Record[str, str]]:
        told.append(ctx.now_ms())
        return []

    texts(ask, ["a"])
    assert told == [StillClock().now_ms()]
