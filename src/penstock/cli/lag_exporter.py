"""`penstock lag-exporter`: how far every group of a cluster is behind, as metrics for Prometheus."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Annotated

import typer

from penstock.cli.drain import Drain
from penstock.cli.invocation import log_as_a_service, project_config
from penstock.errors import UsageError

PORT = 9465
_HUNG_AFTER_S = 120.0
"""Each question to the cluster has a time-out of seconds. One that the client does not come back from all the same ends
the process, so that whoever keeps it running starts another."""


def lag_exporter(
    context: typer.Context,
    groups: Annotated[str, typer.Option("--groups", metavar="REGEX", help="Only groups whose whole name fits.")] = ".*",
    read_uncommitted: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Groups that read what is not committed yet; else it is found out."),
    ] = None,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Look whether a few offsets that nobody reads are records; needs Read rights."),
    ] = False,
    compat: Annotated[
        bool,
        typer.Option("--compat", help="Tell it under the names of kafka_exporter and kafka-lag-exporter, too."),
    ] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=1, metavar="SECONDS", help="Between cycles.")] = 15,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="To answer on; else monitoring.host.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="To answer on; 0 takes one that is free.")] = PORT,
) -> None:
    """Serve how far consumer groups are behind, in offsets and in seconds, and why.

    A group is measured against what it can read: the last stable offset, as long as it does not commit behind it. What
    an open transaction holds back is told apart. Describe rights on groups and topics are enough.

    \b
    penstock lag-exporter --groups 'flight-.*'
    curl http://127.0.0.1:9465/metrics
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.clock import SystemClock  # noqa: PLC0415 - keeps `--help` fast
    from penstock.kafka.client import Connection  # noqa: PLC0415 - as above
    from penstock.kafka.survey import Survey  # noqa: PLC0415 - as above
    from penstock.monitoring.http import LOGGER, PageServer  # noqa: PLC0415 - as above
    from penstock.monitoring.lag.exporter import LagExporter  # noqa: PLC0415 - as above
    from penstock.monitoring.lag.observer import Observer, ObserverRules  # noqa: PLC0415 - as above
    from penstock.runtime.hang_timer import HangTimer  # noqa: PLC0415 - as above

    config = project_config(context)
    log_as_a_service(context, config)
    rules = ObserverRules(
        groups=_pattern("--groups", groups),
        read_uncommitted=_pattern("--read-uncommitted", read_uncommitted or "(?!)"),
        probes=probe,
    )
    clock = SystemClock()
    with (
        closing(Survey(Connection.of(config.kafka), "penstock-lag-exporter")) as survey,
        Drain(10.0) as drain,
        HangTimer(_HUNG_AFTER_S) as timer,
    ):
        observer = Observer(survey, rules, clock, timer)
        exporter = LagExporter(observer.cycle, config.monitoring.cluster, interval_s, clock, has_other_names=compat)
        drain.calls(exporter.stop)
        with PageServer(host or config.monitoring.host, port, exporter.pages) as server:
            LOGGER.info("lag of groups at http://%s:%d/metrics", host or config.monitoring.host, server.port)
            exporter.run()


def _pattern(option: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as err:
        raise UsageError(f"{option} {text}: no regular expression: {err}") from err
