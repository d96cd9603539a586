"""A real Prometheus that scrapes and evaluates every second, with the configuration that is shipped."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml  # type: ignore[import-untyped] # only tests read YAML; not worth a package of stubs

from penstock.embedded.launched import Launched
from penstock.embedded.ports import free_ports
from tests.broker.harness.victims import until

SHIPPED: Final = Path(__file__).parents[2] / "monitoring" / "prometheus" / "prometheus.yml"
EVERY: Final = "1s"


class Refused(Exception):
    """Prometheus did not take a question; its answer says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Where it answers.

    Args:
        url: its address, without a path.
    """

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its HTTP API.

        Raises:
            Refused: with what it says.
        """
        try:
            with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:  # noqa: S310 - ours
                return json.load(answer)["data"]
        except HTTPError as err:
            raise Refused(f"{parameters or path}: {err.read().decode()}") from err

    def query(self, expr: str) -> list[Sample]:
        """What is there now; series that are not a number, which a panel shows as nothing, are left out.

        Raises:
            Refused: it is no PromQL, or the series do not fit together.
        """
        data = self.ask("query", query=expr)
        assert data["resultType"] == "vector", f"{expr}: a {data['resultType']}"
        found = [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]
        return [sample for sample in found if not math.isnan(sample.value)]

    def total(self, expr: str) -> float:
        """The sum of what is there now; 0 where there is nothing."""
        return sum(sample.value for sample in self.query(expr))

    def label_values(self, metric: str, label: str) -> list[str]:
        """What the label of a metric has had for values."""
        found: list[str] = self.ask(f"label/{label}/values", **{"match[]": metric})
        return found

    def exemplars(self, expr: str, since_s: float) -> list[tuple[Mapping[str, str], str]]:
        """(labels of a series in this query, trace) of every exemplar since then, seconds since 1970 UTC."""
        found = self.ask("query_exemplars", query=expr, start=f"{since_s:.3f}", end=f"{time.time():.3f}")
        return [(each["seriesLabels"], one["labels"]["trace_id"]) for each in found for one in each["exemplars"]]

    def health_of_targets(self) -> dict[str, list[str]]:
        """{job: "up", or what went wrong, for each of its targets}."""
        found: dict[str, list[str]] = {}
        for each in self.ask("targets", state="active")["activeTargets"]:
            found.setdefault(each["labels"]["job"], []).append(each["lastError"] or each["health"])
        return found

    def rules(self) -> list[Mapping[str, Any]]:
        """Every rule that is loaded, with its health."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]


def configuration(
    rules: Path,
    discovery: Sequence[str],
    exporter: str,
    own: str,
    alertmanager: str | None = None,
    producers: Sequence[str] = (),
) -> dict[str, Any]:
    """The shipped configuration with other addresses, and seconds for its times.

    Args:
        rules: the file of rules.
        discovery: where supervisors tell their workers, as URLs.
        exporter: `host:port` of the lag exporter.
        own: `host:port` of this Prometheus.
        alertmanager: `host:port` of who is told of alerts; None = nobody.
        producers: `host:port` of each that is looked at.
    """
    found: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    found["global"] = {"scrape_interval": EVERY, "evaluation_interval": EVERY}
    found["rule_files"] = [str(rules)]
    if alertmanager is None:
        del found["alerting"]
    else:
        found["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    jobs = {job["job_name"]: job for job in found["scrape_configs"]}
    jobs["penstock"]["http_sd_configs"] = [{"url": url, "refresh_interval": EVERY} for url in discovery]
    jobs["penstock-lag-exporter"]["static_configs"] = [{"targets": [exporter]}]
    jobs["penstock-producers"]["static_configs"] = [{"targets": list(producers)}]
    jobs["prometheus"]["static_configs"] = [{"targets": [own]}]
    return found


@contextmanager
def prometheus(
    program: str,
    folder: Path,
    discovery: Sequence[str],
    exporter: str,
    rules: Path | None = None,
    alertmanager: str | None = None,
    producers: Sequence[str] = (),
) -> Generator[Prometheus]:
    """Runs for the time of the block; ready at its beginning.

    Args:
        program: where it is.
        folder: for its configuration, its data and its log.
        discovery: where supervisors tell their workers, as URLs.
        exporter: `host:port` of the lag exporter.
        rules: the file of rules; None = what is shipped.
        alertmanager: `host:port` of who is told of alerts; None = nobody.
        producers: `host:port` of each that is looked at.
    """
    own = f"127.0.0.1:{free_ports(1)[0]}"
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    rules = rules or SHIPPED.with_name("penstock.rules.yml")
    made = configuration(rules, discovery, exporter, own, alertmanager, producers)
    config.write_text(yaml.safe_dump(made))
    options = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={own}",
        f"--rules.alert.resend-delay={EVERY}",
        "--enable-feature=exemplar-storage",
    ]
    with serving([program, *options], log, f"http://{own}/-/ready"):
        yield Prometheus(f"http://{own}")


@contextmanager
def serving(command: Sequence[str], log: Path, ready: str) -> Generator[None]:
    """A server for the time of the block; it says that it is ready at its beginning, at the URL `ready`."""
    process = Launched(command, log, scratch=None)

    def is_ready() -> bool:
        assert process.is_alive, log.read_text()
        try:
            with urlopen(ready, timeout=30) as answer:  # noqa: S310 - ours
                return bool(answer.status == 200)
        except URLError:  # nobody listens yet, or it says 503
            return False

    try:
        until(is_ready)
        yield
    finally:
        process.signal(signal.SIGTERM)
        process.end(30)
