from datetime import UTC, datetime
from typing import cast

import pytest

from penstock.cli.tail import Start, Tail, start_of
from penstock.errors import UsageError
from penstock.kafka.client import Connection
from penstock.kafka.reader import BEGINNING, END, Reader


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("beginning", BEGINNING),
        ("end", END),
        ("0", 0),
        ("4200", 4200),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31T12:30:00+02:00", datetime(2026, 1, 31, 10, 30, tzinfo=UTC)),
    ],
)
def test_a_start_is_a_word_an_offset_or_a_time_in_utc(text: str, start: Start) -> None:
    assert start_of(text) == start


@pytest.mark.parametrize("text", ["yesterday", "-3", "", "1.5", "2026-13-01"])
def test_what_is_none_of_these_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="beginning, end, an offset"):
        start_of(text)


@pytest.mark.parametrize(
    ("start", "offsets"), [(BEGINNING, [5, 0]), (END, [9, 2]), (0, [5, 0]), (7, [7, 2]), (1_000, [9, 2])]
)
def test_an_offset_outside_the_log_moves_to_the_nearest_inside(start: int, offsets: list[int]) -> None:
    """Partition 0 holds offsets 5 to 8, partition 1 holds 0 and 1. An offset outside would stop the reader."""
    tail = Tail(Connection("127.0.0.1:1"), "levels", [0, 1], start, isolation="read_committed", follow=True)
    no_reader = cast("Reader", None)  # only a time needs to be asked for
    begins, ends = {("levels", 0): 5, ("levels", 1): 0}, {("levels", 0): 9, ("levels", 1): 2}
    assert list(tail._starts(no_reader, begins, ends).values()) == offsets
