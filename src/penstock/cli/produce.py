"""`penstock produce NAME`: run one producer of the project until its source ends."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.invocation import log_as_a_service, project_config
from penstock.cli.output import print_json, print_table
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.config import Config
    from penstock.protocols import SchemaRegistry
    from penstock.publishing.opening import Surroundings
    from penstock.publishing.run import ProducerRun


def produce(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="The producer, as its @producer names it; left out, they are listed.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Rows per second at most.")] = None,
    from_cursor: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="CURSOR",
            help="Continue behind this cursor (JSON, or 'beginning') instead of the committed one. "
            "What lies between is published again, or left out.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at most in this run.")] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Serve metrics on this port of monitoring.host meanwhile; 0 = one that is free."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result, or the list, as JSON.")] = False,
) -> None:
    """Publish a producer's rows exactly once.

    Records, dead letters and the cursor are committed together: after any crash, run the same command again and it
    resumes behind the last committed row. Ctrl-C commits what is staged and stops; a second one stops at once.

    \b
    penstock produce                        list the producers
    penstock produce flights                publish what is not published yet
    penstock produce flights --limit 1000   only the next thousand rows
    penstock produce load --rate 5000       five thousand a second, until stopped
    penstock produce load --port 9466       with metrics for Prometheus at http://127.0.0.1:9466/metrics
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.config.modules import package_of  # noqa: PLC0415 - keeps `--help` fast
    from penstock.publishing.discovery import producer_named, producers  # noqa: PLC0415 - as above

    config = project_config(context)
    package = package_of(config.project.producers, config.root, f"{config.file}: project.producers")
    if name is None:
        _list(producers(config.root, package), as_json=as_json)
        return
    spec = producer_named(name, config.root, package)
    log_as_a_service(context, config, producer=spec.name)
    _run(spec, config, rate=rate, from_cursor=_cursor(from_cursor), limit=limit, port=port, as_json=as_json)


def _list(there: dict[str, Any], *, as_json: bool) -> None:
    rows = [(name, spec.topic.name, spec.doc) for name, spec in there.items()]
    if as_json:
        print_json([{"name": n, "topic": t, "doc": d} for n, t, d in rows])
    else:
        print_table(("producer", "topic", ""), rows)


def _run(
    spec: Any,
    config: Config,
    *,
    rate: float | None,
    from_cursor: tuple[Any] | None,
    limit: int | None,
    port: int | None,
    as_json: bool,
) -> None:
    from penstock.cli.publishing_display import PublishingDisplay  # noqa: PLC0415 - keeps `--help` fast
    from penstock.kafka.registry import RegistryClient  # noqa: PLC0415
    from penstock.publishing.opening import opened  # noqa: PLC0415
    from penstock.publishing.user_code import asked  # noqa: PLC0415
    from penstock.supervisor.observed_producer import observed  # noqa: PLC0415
    from penstock.transactions.hook_chain import TransactionHookChain  # noqa: PLC0415

    total = asked(spec.total, spec.name, "its total function") if spec.total else None
    display = PublishingDisplay(spec.name, spec.topic.name, total=total)
    with (
        closing(RegistryClient.of(config.registry)) as registry,
        observed(spec.name, spec.topic.name, total, config.monitoring.host, port) as counted,
        opened(spec, surroundings(config, registry), TransactionHookChain(counted, display)) as run,
        display,
    ):
        _stop_on_signals(run)
        last = run.run(limit=limit, rate=rate, from_cursor=from_cursor)
    if as_json:
        print_json({**display.summary(), "cursor": last.cursor, "sequence": last.sequence})


def surroundings(config: Config, registry: SchemaRegistry) -> Surroundings:
    """Where the project's producers run."""
    from penstock.kafka.client import Connection  # noqa: PLC0415 - keeps `--help` fast
    from penstock.publishing.feed import PublishingLimits  # noqa: PLC0415
    from penstock.publishing.opening import Surroundings  # noqa: PLC0415

    publishing = config.publishing
    return Surroundings(
        connection=Connection.of(config.kafka),
        registry=registry,
        auto_register=config.registry.auto_register,
        project=config.project.name,
        prefix=config.project.prefixed(""),
        state_directory=config.state.create(),
        transaction_timeout_ms=publishing.transaction_timeout_ms,
        transaction_budget_ms=publishing.transaction_budget_ms,
        limits=PublishingLimits(
            commit_interval_s=publishing.commit_interval_ms / 1000,
            max_transaction_records=publishing.max_transaction_records,
        ),
    )


def _cursor(text: str | None) -> tuple[Any] | None:
    """A one-tuple, since None is a cursor too: the beginning."""
    if text is None:
        return None
    if text == "beginning":
        return (None,)
    try:
        return (json.loads(text),)
    except json.JSONDecodeError as exc:
        raise UsageError(f"--from {text}: not JSON; write a number as 17, a text as '\"AA-17\"', or beginning") from exc


def _stop_on_signals(run: ProducerRun[Any, Any]) -> None:
    def stop(number: int, _frame: FrameType | None) -> None:
        run.stop()
        signal.signal(number, signal.default_int_handler)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
