"""The pages about dead letters: their code does what they say, their commands are commands, their tables are whole."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

import penstock as ps
from penstock.cli.app import app
from penstock.cli.dlq_options import selection_of
from penstock.monitoring.catalogue import RECORD_STAGES
from penstock.operators.park import Park
from penstock.redrive.original import WHY
from penstock.testing.driver import Driver
from penstock.topology.policy import FOR_EVER, PARKED, Retry, nature_of

PAGES = Path(__file__).parents[3] / "docs" / "how-to"
NAMES = ("handle-bad-data", "retry-a-flaky-service", "redrive-after-a-fix", "when-dead-letters-pile-up")


def text(page: str) -> str:
    return (PAGES / f"{page}.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)


def run(page: str) -> list[dict[str, Any]]:
    """What each block of Python leaves, each seeing what stands above it."""
    seen: list[dict[str, Any]] = []
    for block in blocks(page, "python"):
        seen.append(dict(seen[-1]) if seen else {})
        exec(compile(block, page, "exec"), seen[-1])  # noqa: S102 - our own page
    return seen


def test_each_step_has_the_policy_that_the_page_gives_it(driver: Driver) -> None:
    shown = run("handle-bad-data")[0]
    under_test = driver.start(shown["pipeline"])
    for value in ("12", "high", "-3", "7"):
        under_test.feed(shown["READINGS"], value, key="inn")
    under_test.settle()
    assert under_test.values(shown["HIGHEST"]) == ["12", "7"]
    (letter,) = under_test.dead_letters(shown["READINGS"])
    assert (letter.value, dict(letter.headers)["penstock.dlq.operator"]) == (b"high", b"parse")


def test_the_classifier_that_is_shown_tells_an_outage_from_a_bad_record() -> None:
    classify = run("handle-bad-data")[1]["classify"]
    outage = type("OperationalError", (Exception,), {})
    assert nature_of(outage(), classify) == "transient"
    assert nature_of(ValueError(), classify) == "poison"


def test_the_breaker_that_is_shown_is_as_the_text_below_says() -> None:
    breaker = run("handle-bad-data")[2]["pipeline"].breaker
    assert (breaker.ratio, breaker.least, breaker.probe) == (0.5, 200, 10)
    assert (breaker.window.total_seconds(), breaker.pause.total_seconds()) == (60, 30)


def test_only_the_key_waits_where_the_page_says_so() -> None:
    pipeline = run("retry-a-flaky-service")[0]["pipeline"]
    (park,) = [node for node in pipeline.topology().nodes if isinstance(node.operation, Park)]
    assert park.name == "park-orders"
    (policy,) = [node.on_error for node in pipeline.topology().nodes if node.name == "price"]
    assert (policy.keep, policy.attempts, policy.first.total_seconds()) == ("key", 8, 2)


def test_what_is_left_out_of_a_retry_is_as_the_table_says() -> None:
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| ([^|]*) \|$", text("retry-a-flaky-service"), re.MULTILINE))
    retry = Retry()
    assert rows.pop("keep") == f'`"{retry.keep}"`'
    assert rows.pop("attempts") == str(retry.attempts)
    assert (rows.pop("max_age"), retry.max_age) == ("no bound", None)
    assert (rows.pop("jitter"), rows.pop("on")) == (str(retry.jitter), "all")
    assert rows.pop("then") == f'`"{retry.then}"`'
    assert rows.pop("rest") == f'`"{retry.rest}"`'
    seconds = (retry.first.total_seconds(), retry.factor, retry.longest.total_seconds())
    assert (rows.pop("first"), seconds) == ("1 s, 2, 5 min", (1, 2, 300))
    assert not rows
    assert (Retry(attempts=None), Retry(keep="key")) == (FOR_EVER, PARKED)


def test_the_bounds_that_are_shown_can_be_set(tmp_path: Path) -> None:
    (toml,) = blocks("retry-a-flaky-service", "toml")
    (tmp_path / "penstock.toml").write_text(f'[project]\nname = "p"\n{toml}')
    shown = ps.load_config(tmp_path).parking
    assert (shown.max_keys, shown.max_records_per_key, shown.max_bytes_per_key, shown.max_bytes) == (
        *(1_000, 500),
        *(1 << 20, 64 << 20),
    )


def test_the_function_that_mends_a_record_mends_it() -> None:
    price = run("redrive-after-a-fix")[0]["price"]
    assert price(ps.Record(key=b"k", value=b"EUR 5")).value == b"5"
    assert price(ps.Record(key=b"k", value=None)) is None


def test_whatever_holds_a_letter_back_is_in_the_table() -> None:
    (table,) = re.findall(r"^## What is held back\n(.*?)^## ", text("redrive-after-a-fix"), re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z ]+)`", row)}
    assert named == set(WHY)


def test_whatever_stage_a_letter_names_is_in_the_runbook() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text("when-dead-letters-pile-up"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(RECORD_STAGES) - {"position"}, "a lost position is no record's"


def commands() -> Iterator[tuple[str, list[str]]]:
    for page in NAMES:
        for block in blocks(page, "console"):
            for line in block.splitlines():
                if line.startswith("$ "):
                    yield f"{page}: {line}", shlex.split(line[2:], comments=True)


@pytest.mark.parametrize("words", [words for _, words in commands()], ids=[told for told, _ in commands()])
def test_a_command_that_is_shown_is_one(words: list[str]) -> None:
    """It has these arguments and options, and conditions and times that make sense."""
    assert words.pop(0) == "penstock"
    if ">" in words:
        del words[words.index(">") :]
    command: Any = typer.main.get_command(app)
    context = click.Context(command)
    while hasattr(command, "resolve_command"):
        _, command, words = command.resolve_command(context, words)
        context = click.Context(command, parent=context)
    made = command.make_context(command.name, words)
    given = made.params
    selection_of(given.get("where"), given.get("since"), given.get("until"), given.get("partition"))


def test_the_pages_show_each_command_of_the_group() -> None:
    shown = {words[2] for _, words in commands() if words[1] == "dlq"}
    group: Any = typer.main.get_command(app)
    assert shown == set(group.commands["dlq"].commands)
