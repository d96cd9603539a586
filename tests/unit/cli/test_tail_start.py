from datetime import UTC, datetime

import pytest

from penstock.cli.tail import Start, start_of
from penstock.errors import UsageError
from penstock.kafka.reader import BEGINNING, END


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
