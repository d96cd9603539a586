"""What stands in `monitoring/` is what the code makes, and names nothing that no worker and no exporter tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml  # type: ignore[import-untyped] # only tests read YAML; not worth a package of stubs

from penstock.cli.app import app
from penstock.monitoring import catalogue, exporter_catalogue
from penstock.monitoring.catalogue import WORKER
from penstock.monitoring.exporter_catalogue import EXPORTER
from penstock.monitoring.lag.standing import STATUSES
from penstock.monitoring.metric import Metric
from penstock.monitoring.publishing_catalogue import PUBLISHING
from penstock.monitoring.shipped.__main__ import files
from penstock.monitoring.shipped.dashboards import DASHBOARDS
from penstock.monitoring.shipped.panels import WIDTH, Dashboard
from penstock.monitoring.shipped.rules import ALERTS, DASHBOARD_OF, RECORDED, Alert, rule_file
from tests.unit.monitoring.promql import grouped_by, is_balanced, selectors

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "monitoring"
RUNBOOKS = FOLDER / "runbooks"

ALL = (*WORKER, *PUBLISHING, *EXPORTER)
METRICS: dict[str, Metric] = {series: metric for metric in ALL for series in metric.series}
OF_THE_SERVER = frozenset({"instance", "job", "worker"})
"""What Prometheus adds to every series; `worker` by service discovery."""
OF_RECORDED = {each.name: each.labels for each in RECORDED}
OF_PROMETHEUS = {
    "up": (),
    "ALERTS": ("alertname", "alertstate", "severity", "pipeline", "cluster", "group", "topic"),
}
"""{what Prometheus itself tells: labels, beside those that it adds to every series}."""
NOT_SHOWN: dict[str, str] = {}
"""Metrics that no query needs, and why they are told all the same."""
HEADINGS = (
    "Meaning.",
    "Impact on exactly once.",
    "Confirm",
    "Likely causes",
    "Safe action.",
    "What not to do.",
    "It is over when",
)


def queries() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of everything that is shipped."""
    yield from ((each.name, each.expr) for each in RECORDED)
    yield from ((alert.name, alert.expr) for alert in ALERTS)
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            yield from ((f"{dashboard.uid}: {panel.title}", query.expr) for query in panel.queries)
        for query in dashboard.variables.values():
            yield dashboard.uid, query
        yield from ((f"{dashboard.uid}: {each.name}", each.expr) for each in dashboard.annotations)


@pytest.mark.parametrize("name", sorted(files()))
def test_a_file_is_what_the_code_makes(name: str) -> None:
    """If this fails: `python -m penstock.monitoring.shipped monitoring`."""
    assert (FOLDER / name).read_text() == files()[name]


def test_there_is_no_dashboard_that_the_code_does_not_make() -> None:
    there = {str(file.relative_to(FOLDER)) for file in (FOLDER / "grafana" / "dashboards").iterdir()}
    assert there == {name for name in files() if name.startswith("grafana/")}


def test_the_rules_are_read_back_as_they_were_meant() -> None:
    written = yaml.safe_load((FOLDER / "prometheus" / "penstock.rules.yml").read_text())
    assert written == json.loads(json.dumps(rule_file()))


@pytest.mark.parametrize(("where", "query"), list(queries()))
def test_a_query_names_only_what_is_told(where: str, query: str) -> None:
    assert is_balanced(query), where
    known: set[str] = set()
    for name, labels in selectors(query):
        assert name in {*METRICS, *OF_RECORDED, *OF_PROMETHEUS}, f"{where}: nobody tells {name}"
        of_metric = METRICS[name].labels if name in METRICS else {**OF_PROMETHEUS, **OF_RECORDED}[name]
        known.update(of_metric)
        assert set(labels) <= {*of_metric, *OF_THE_SERVER}, f"{where}: {name} has no such label: {labels}"
    assert grouped_by(query) <= {*known, *OF_THE_SERVER, "le"}, where


@pytest.mark.parametrize(("where", "query"), list(queries()))
def test_only_counters_have_a_rate_and_only_histograms_quantiles(where: str, query: str) -> None:
    """`rate` of a gauge, and `delta` of a counter, give numbers that mean nothing."""
    for function, name in re.findall(r"\b(rate|increase|delta|deriv)\(([a-z_]+)", query):
        kind = METRICS[name].kind
        is_an_offset = name.endswith("_offset")  # a gauge by type, that only grows
        if function in ("rate", "increase"):
            assert kind in ("counter", "histogram") or is_an_offset, where
        else:
            assert kind == "gauge", where


def test_every_metric_is_looked_at_by_something() -> None:
    """One that nobody looks at is paid for, for ever: use it, or say why it is there."""
    used = {METRICS[name].name for _, query in queries() for name, _ in selectors(query) if name in METRICS}
    told = {metric.name for metric in ALL}
    assert told - used == NOT_SHOWN.keys()


def test_a_metric_of_a_worker_that_alerts_page_on_has_a_pipeline() -> None:
    for alert in ALERTS:
        for name, _ in selectors(alert.expr):
            if name.startswith("penstock_"):
                assert "pipeline" in METRICS[name].labels, alert.name


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_has_a_runbook_that_says_what_to_do_and_what_not(alert: Alert) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text()
    assert text.startswith(f"# {alert.name}\n")
    bold = re.findall(r"^\*\*([^*]+)\*\*", text, re.MULTILINE)
    assert [heading for heading in HEADINGS if any(each.startswith(heading.split(",")[0]) for each in bold)] == list(
        HEADINGS
    )
    assert len(re.findall(r"^[123]\. ", text, re.MULTILINE)) == 3


def test_an_alert_names_the_dashboard_to_look_at() -> None:
    assert set(DASHBOARD_OF) == {alert.name for alert in ALERTS}
    assert set(DASHBOARD_OF.values()) == {dashboard.uid for dashboard in DASHBOARDS}


def test_no_runbook_is_left_of_an_alert_that_is_gone() -> None:
    assert {file.stem for file in RUNBOOKS.iterdir()} == {alert.name for alert in ALERTS}


def test_runbooks_name_metrics_commands_alerts_and_dashboards_that_there_are() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined] # it is a group
    for file in RUNBOOKS.iterdir():
        text = file.read_text()
        for name, _ in selectors(text):
            assert name in {
                *METRICS,
                *(metric.name for metric in METRICS.values()),
                *(each.name for each in RECORDED),
                *OF_PROMETHEUS,
            }, f"{file.name}: {name}"
        for command in re.findall(r"`penstock ([a-z-]+)", text):
            assert command in commands, f"{file.name}: penstock {command}"
        titles = {dashboard.title.removeprefix("penstock: ") for dashboard in DASHBOARDS}
        assert set(re.findall(r"ashboard \*([^*]+)\*", text)) <= titles, file.name
        for name in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", text):
            assert name in {alert.name for alert in ALERTS}, f"{file.name}: {name}"


def test_alertmanager_routes_and_silences_alerts_that_there_are() -> None:
    settings: dict[str, Any] = yaml.safe_load((FOLDER / "alertmanager" / "alertmanager.yml").read_text())
    receivers = {each["name"] for each in settings["receivers"]}
    routes = [settings["route"], *settings["route"]["routes"]]
    assert {route["receiver"] for route in routes} == receivers
    matchers = [
        matcher
        for rule in settings["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    ]
    patterns = [re.findall(r'alertname =~? "(.*)"', matcher) for matcher in matchers]
    for pattern in [each for found in patterns for each in found]:
        for part in pattern.split("|"):
            assert any(re.fullmatch(part, alert.name) for alert in ALERTS), part
    severities = {alert.severity for alert in ALERTS}
    assert severities == {"page", "ticket", "none"}


def test_prometheus_scrapes_what_docker_compose_starts() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    settings = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
    asked = json.dumps(settings)
    for name, service in compose.items():
        if "workers" in service.get("profiles", []):
            port = service["environment"]["PENSTOCK_MONITORING__PORT"]
            assert f"http://{name}:{port}/targets" in asked
    assert "lag-exporter:9465" in asked
    assert settings["rule_files"] == ["penstock.rules.yml"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_a_dashboard_can_be_read_by_who_has_never_seen_it(dashboard: Dashboard) -> None:
    made = dashboard.as_json()
    ids = [panel["id"] for panel in made["panels"]]
    assert len(ids) == len(set(ids))
    offered = {"datasource", *dashboard.variables}
    cells: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not covered & cells, f"{panel['title']} covers another"
        cells |= covered
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])
        for target in (*panel["targets"], *made["annotations"]["list"]):
            used = set(re.findall(r"\$([a-z]+)", target["expr"].replace("$__", "")))
            assert used <= offered, target["expr"]


def test_a_row_that_is_repeated_shows_in_each_of_its_panels_the_one_that_it_is_repeated_for() -> None:
    repeated = [(dashboard, row) for dashboard in DASHBOARDS for row in dashboard.rows if row.repeat]
    assert repeated
    for dashboard, row in repeated:
        assert row.repeat in dashboard.variables
        assert f"${row.repeat}" in row.title
        (made,) = [each for each in dashboard.as_json()["panels"] if each["title"] == row.title]
        assert made["repeat"] == row.repeat
        for panel in row.panels:
            assert all(f'{row.repeat}=~"${row.repeat}"' in query.expr for query in panel.queries), panel.title


def shaped(shape: str) -> dict[str, dict[str, Any]]:
    """{title: panel} of all that look like this."""
    made = [panel for dashboard in DASHBOARDS for panel in dashboard.as_json()["panels"]]
    return {panel["title"]: panel for panel in made if panel["type"] == shape}


def test_a_state_timeline_names_and_colours_every_status_and_ranks_it_as_its_query_does() -> None:
    ((_, panel),) = shaped("state-timeline").items()
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    called = {state["text"]: value for value, state in mapping["options"].items()}
    assert set(called) == set(STATUSES)
    asked = re.findall(r'status="(\w+)"\} > bool 0\) \* (\d+)', panel["targets"][0]["expr"])
    assert dict(asked) == called
    ranks = [called[status] for status in ("ok", "lagging", "stalled", "lost")]
    assert ranks == sorted(ranks)


def test_what_stands_in_lower_buckets_is_taken_off_in_the_heat_map_of_a_histogram_and_in_no_other() -> None:
    panels = shaped("heatmap")
    of_buckets = {title for title, panel in panels.items() if "_bucket{" in panel["targets"][0]["expr"]}
    assert of_buckets
    assert of_buckets != set(panels)
    for title, panel in panels.items():
        (target,) = panel["targets"]
        assert (target.get("format") == "heatmap") == (title in of_buckets)
        assert ("yAxis" in panel["options"]) == (title in of_buckets)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_a_dashboard_has_a_picture_that_the_documents_show(dashboard: Dashboard) -> None:
    picture = ROOT / "docs" / "pictures" / f"{dashboard.uid}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000
    assert f"(../pictures/{picture.name})" in (ROOT / "docs" / "reference" / "live-proof.md").read_text()


def test_an_alert_fires_by_units_that_the_metric_has() -> None:
    """Seconds are compared with seconds: names end in their unit."""
    assert catalogue.SLO_TIME_LAG.name.endswith("_seconds")
    assert exporter_catalogue.TOPIC_TIME_LAG.name.endswith("_seconds")
