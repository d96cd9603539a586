import json
import logging

import pytest

from penstock.logs import JsonFormatter, TextFormatter


def record(message: str, error: Exception | None = None, **extra: object) -> logging.LogRecord:
    info = (type(error), error, None) if error is not None else None
    made = logging.getLogger("penstock.test").makeRecord(
        "penstock.test", logging.WARNING, __file__, 1, message, (), info, extra=extra
    )
    made.created = 1_769_860_800.5
    return made


def test_text_has_time_level_logger_message_and_coordinates_in_order() -> None:
    line = TextFormatter().format(record("fenced", offset=7, topic="flights", other="unseen"))
    assert line == "2026-01-31T12:00:00.500Z warning penstock.test: fenced topic=flights offset=7"


def test_json_is_one_object_a_line() -> None:
    line = JsonFormatter().format(record("two\nlines", topic="flights", partition=3))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-31T12:00:00.500Z",
        "level": "warning",
        "logger": "penstock.test",
        "message": "two\nlines",
        "topic": "flights",
        "partition": 3,
    }


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_exception_comes_with_its_traceback(formatter: logging.Formatter) -> None:
    assert "ValueError: broken" in formatter.format(record("failed", ValueError("broken")))


def test_a_coordinate_of_any_type_can_be_logged() -> None:
    assert json.loads(JsonFormatter().format(record("x", task=object())))["task"].startswith("<object")
