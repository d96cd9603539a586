"""The shipped rules and routes, faster: what takes an hour there takes a minute here.

Ranges, offsets, holds and numbers of seconds are divided; shares and counts stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from penstock.monitoring.shipped.rules import ALERTS, rule_file

TIMES_FASTER: Final = 60
AS_CYCLES: Final = {"ExporterBlind": 15}
"""Alerts that only go by how old the last cycle of the lag exporter is: those come every second instead of fifteen."""

_UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"^(\d+)([smhdw])$")
_IN_A_QUERY: Final = re.compile(r"(?<=\[)\d+[smhdw](?=\])|(?<=\boffset )\d+[smhdw]\b")
_SECONDS: Final = {alert.name: alert.seconds for alert in ALERTS}
_WAITS: Final = frozenset({"group_wait", "group_interval", "repeat_interval"})


def faster(duration: str, times: int = TIMES_FASTER) -> str:
    """`1h` = `60s`, as Prometheus and Alertmanager write it; the shortest is a millisecond."""
    found = _DURATION.match(duration)
    assert found is not None, f"{duration} is no duration"
    return f"{int(found[1]) * _UNIT_S[found[2]] * 1000 // times}ms"


def faster_query(query: str, seconds: tuple[int, ...] = (), times: int = TIMES_FASTER) -> str:
    """PromQL; `seconds` are the numbers it compares with that are seconds."""
    for number in seconds:
        query, count = re.subn(rf"> {number}\b", f"> {number / times:g}", query)
        assert count == 1, f"{query} has no `> {number}`"
    return _IN_A_QUERY.sub(lambda found: faster(found[0], times), query)


def faster_rules(times: int = TIMES_FASTER) -> dict[str, Any]:
    """What Prometheus loads."""
    made: dict[str, Any] = {"groups": []}
    groups: Any = rule_file()["groups"]
    for group in groups:
        rules = []
        for rule in group["rules"]:
            name = rule.get("alert", "")
            its_times = min(times, AS_CYCLES.get(name, times))
            new = {**rule, "expr": faster_query(rule["expr"], _SECONDS.get(name, ()), its_times)}
            if name:
                new["for"] = faster(rule["for"], its_times)
            rules.append(new)
        made["groups"].append({"name": group["name"], "rules": rules})
    return made


def faster_routes(settings: Mapping[str, Any], url: str, times: int = TIMES_FASTER) -> dict[str, Any]:
    """What Alertmanager loads: each receiver has the address `<url>/<its name>`."""
    return {
        **settings,
        "route": _faster_route(settings["route"], times),
        "receivers": [
            {**each, "webhook_configs": [{"url": f"{url}/{each['name']}"}]} for each in settings["receivers"]
        ],
    }


def _faster_route(route: Mapping[str, Any], times: int) -> dict[str, Any]:
    return {
        name: faster(value, times)
        if name in _WAITS
        else [_faster_route(each, times) for each in value]
        if name == "routes"
        else value
        for name, value in route.items()
    }
