"""The rules of the live proof are the shipped ones with other times, and each alert is proven somewhere."""

from __future__ import annotations

import re

import pytest

from penstock.monitoring.shipped.rules import ALERTS, rule_file
from tests.servers.faster import faster, faster_query, faster_routes, faster_rules
from tests.servers.live.faults import FAULTS
from tests.servers.live.page import ONLY_IN_PROMTOOL


def test_what_takes_an_hour_takes_a_minute() -> None:
    assert [faster(each) for each in ("1h", "5m", "1m", "3d", "0s", "1w")] == [
        "60000ms", "5000ms", "1000ms", "4320000ms", "0ms", "10080000ms"
    ]  # fmt: skip


def test_ranges_offsets_and_seconds_are_divided_and_shares_and_counts_are_not() -> None:
    query = "time() - x > 300 and increase(y_total[5m] offset 1w) >= 5 and pipeline:lag_bad:ratio1h > 0.072"
    assert faster_query(query, (300,)) == (
        "time() - x > 5 and increase(y_total[5000ms] offset 10080000ms) >= 5 and pipeline:lag_bad:ratio1h > 0.072"
    )


def test_nothing_but_times_is_changed() -> None:
    """Played at their own pace they are what is shipped, but for the unit in which times are written."""
    time_of = re.compile(r"(?<=\[)\w+(?=\])|(?<=offset )\w+|(?<='for': ')\w+")
    shipped, same = str(rule_file()), str(faster_rules(times=1))
    assert len(time_of.findall(shipped)) > 40
    assert time_of.sub("T", shipped) == time_of.sub("T", same)


def test_what_asks_how_old_a_cycle_is_goes_as_much_faster_as_cycles_do() -> None:
    """Else a cycle that is in time would be late: it, the scrape and the evaluation take a second each at most."""
    (blind,) = [r for group in faster_rules()["groups"] for r in group["rules"] if r.get("alert") == "ExporterBlind"]
    assert "> 8 or" in blind["expr"]
    assert blind["for"] == "4000ms"


def test_an_alert_says_which_of_its_numbers_are_seconds() -> None:
    """Counts are small; what is compared with thirty and more is a time, and has to be divided."""
    for alert in ALERTS:
        large = [int(number) for number in re.findall(r"[<>]=? (\d{2,})(?![.\d])", alert.expr)]
        assert tuple(number for number in large if number >= 30) == alert.seconds, alert.name


def test_a_number_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        faster_query("x > 30", (300,))


def test_routes_keep_their_shape_and_their_receivers_get_an_address() -> None:
    settings = {
        "route": {"receiver": "a", "group_wait": "30s", "routes": [{"receiver": "b", "repeat_interval": "4h"}]},
        "receivers": [{"name": "a"}, {"name": "b"}],
    }
    assert faster_routes(settings, "http://x") == {
        "route": {"receiver": "a", "group_wait": "500ms", "routes": [{"receiver": "b", "repeat_interval": "240000ms"}]},
        "receivers": [
            {"name": "a", "webhook_configs": [{"url": "http://x/a"}]},
            {"name": "b", "webhook_configs": [{"url": "http://x/b"}]},
        ],
    }


def test_each_alert_is_fired_by_a_fault_or_said_not_to_be() -> None:
    fired = {name for fault in FAULTS for name, _ in fault.alerts}
    assert not fired & ONLY_IN_PROMTOOL.keys()
    assert fired | ONLY_IN_PROMTOOL.keys() | {"Watchdog"} == {alert.name for alert in ALERTS}
