import json
import logging

import pytest

from penstock.logs import CLIENT, Always, JsonFormatter, OneOfAKind, TextFormatter, configure


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


def test_every_record_of_a_process_carries_its_coordinates_unless_it_has_its_own() -> None:
    made = record("committed", worker="b")
    assert Always({"pipeline": "status", "worker": "a"}).filter(made)
    assert TextFormatter().format(made).endswith("committed pipeline=status worker=b")


def line(facility: str) -> logging.LogRecord:
    """As confluent-kafka hands librdkafka's lines on."""
    return logging.getLogger(CLIENT).makeRecord(
        CLIENT, logging.ERROR, __file__, 1, "%s [%s] %s", (facility, "rdkafka#producer-1", "refused"), None
    )


def test_of_the_clients_own_lines_one_of_a_kind_passes_in_half_a_minute_and_the_rest_is_counted() -> None:
    now_s = 100.0
    limit = OneOfAKind(monotonic_s=lambda: now_s)
    assert [limit.filter(line(kind)) for kind in ("FAIL", "FAIL", "MAXPOLL", "FAIL")] == [True, False, True, False]
    now_s += 30
    late = line("FAIL")
    assert limit.filter(late)
    assert late.getMessage() == "FAIL [rdkafka#producer-1] refused (2 more of this kind were left out)"


@pytest.mark.parametrize(
    ("level", "is_service", "shown"),
    [
        ("info", False, ["CRITICAL"]),
        ("info", True, ["WARNING", "CRITICAL"]),
        ("debug", True, ["DEBUG", "WARNING", "CRITICAL"]),
    ],
)
def test_a_service_shows_the_clients_warnings_and_a_short_command_does_not(
    level: str, is_service: bool, shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure(level, "text", is_service=is_service)
        for name in ("DEBUG", "WARNING", "CRITICAL"):
            logging.getLogger(CLIENT).log(logging.getLevelNamesMapping()[name], "%s [%s] x", name, "client")
    finally:
        configure("info", "text")
        root.handlers[:], root.level = before
    assert [text.split()[3] for text in capsys.readouterr().err.splitlines()] == shown
