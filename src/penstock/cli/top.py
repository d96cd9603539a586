"""`penstock top`: the workers of this machine, or of a supervisor elsewhere, as they are at work."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.invocation import project_config
from penstock.cli.output import console, print_json
from penstock.errors import ServerUnreachable

if TYPE_CHECKING:
    from rich.table import Table

    from penstock.monitoring.overview import Told, WorkerRow

_TIMEOUT_S = 2.0


def top(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A supervisor's list of workers, `http://.../targets`; else this machine's."),
    ] = None,
    interval_s: Annotated[float, typer.Option("--interval", min=0.5, metavar="SECONDS", help="Between looks.")] = 2,
    once: Annotated[bool, typer.Option("--once", help="Look twice, show the difference, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, once.")] = False,
) -> None:
    """Watch workers: what they commit in a second, how far behind they are, what they set aside. Ctrl-C ends it.

    Workers are seen that have a `monitoring.port`. It is what Prometheus sees of them, and nothing is asked of Kafka.

    \b
    penstock top
    penstock top --url http://flights-3:9460/targets
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from rich.live import Live  # noqa: PLC0415 - keeps `--help` fast

    config = project_config(context)
    directory = config.state.directory

    def look() -> dict[str, Told | None]:
        workers = _here(directory) if url is None else _listed(url)
        return {worker: _told(address) for worker, address in workers.items()}

    before = look()
    if once or as_json:
        time.sleep(interval_s)
        rows = _rows(look(), before)
        if as_json:
            print_json([asdict(row) for row in rows])
        else:
            console().print(_table(rows))
        return
    with Live(_table(_rows(before, {})), console=console(), auto_refresh=False) as live:
        while True:
            try:
                time.sleep(interval_s)
                now = look()
                live.update(_table(_rows(now, before)), refresh=True)
                before = now
            except KeyboardInterrupt:
                return


def _here(directory: Path) -> dict[str, str]:
    from penstock.monitoring.whereabouts import found  # noqa: PLC0415 - as above

    return {where.worker: where.address for where in found(directory)}


def _listed(url: str) -> dict[str, str]:
    import msgspec  # noqa: PLC0415 - as above

    body = _get(url)
    if body is None:
        raise ServerUnreachable(f"{url} does not answer; it is a supervisor's monitoring.port, with /targets behind it")
    entries = msgspec.json.decode(body, type=list[dict[str, object]])
    found: dict[str, str] = {}
    for entry in entries:
        labels, targets = entry.get("labels"), entry.get("targets")
        if isinstance(labels, dict) and isinstance(targets, list) and targets:
            found[str(labels.get("worker", targets[0]))] = str(targets[0])
    return found


def _told(address: str) -> Told | None:
    import msgspec  # noqa: PLC0415 - as above

    from penstock.monitoring.overview import Told  # noqa: PLC0415 - as above
    from penstock.monitoring.scrape import read  # noqa: PLC0415 - as above

    metrics, status = _get(f"http://{address}/metrics"), _get(f"http://{address}/status")
    if metrics is None or status is None:
        return None
    return Told(read(metrics.decode(), time.monotonic()), msgspec.json.decode(status, type=dict[str, object]))


def _get(url: str) -> bytes | None:
    from urllib.error import URLError  # noqa: PLC0415 - as above
    from urllib.request import urlopen  # noqa: PLC0415 - as above

    if not url.startswith(("http://", "https://")):
        return None
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the scheme is looked at above
            body: bytes = answer.read()
    except (URLError, OSError):
        return None
    return body


def _rows(now: dict[str, Told | None], before: dict[str, Told | None]) -> list[WorkerRow]:
    from penstock.monitoring.overview import row  # noqa: PLC0415 - as above

    return [row(worker, told, before.get(worker)) for worker, told in sorted(now.items())]


def _table(rows: list[WorkerRow]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ("worker", "state", "tasks", "records/s", "commits/s", "time lag", "in hand", "dead letters", "discarded")
    for column in columns:
        table.add_column(column, justify="left" if column in ("worker", "state") else "right", overflow="fold")
    for row in rows:
        table.add_row(
            row.worker,
            row.state,
            str(row.tasks),
            _number(row.records_per_s),
            _number(row.transactions_per_s),
            "-" if row.time_lag_s is None else f"{row.time_lag_s:,.1f} s",
            f"{row.buffered:,}",
            f"{row.dead_letters:,}",
            f"{row.discarded:,}",
        )
    if not rows:
        table.add_row("none that can be looked at: set monitoring.port", *[""] * (len(columns) - 1))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
