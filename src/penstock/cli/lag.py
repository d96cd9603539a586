"""`penstock lag GROUP`: how far a group is behind now."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.invocation import project_config
from penstock.cli.output import counted, print_json, print_table
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.monitoring.lag.observation import Backlog, Observation

_TRIES = 5


def lag(
    context: typer.Context,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The consumer group; a pipeline's has its name.")],
    read_uncommitted: Annotated[
        bool, typer.Option("--read-uncommitted", help="The group reads what is not committed yet.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how far a consumer group is behind, partition by partition.

    Lag is measured against what the group can read. `held back` are offsets behind that: an open transaction keeps them
    from read_committed groups. Behind the age of the next record stands how wrong it may be, on either side.

    \b
    penstock lag flight-status
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.clock import SystemClock  # noqa: PLC0415 - keeps `--help` fast
    from penstock.kafka.client import Connection  # noqa: PLC0415 - as above
    from penstock.kafka.survey import Survey  # noqa: PLC0415 - as above
    from penstock.monitoring.lag.observer import Observer, ObserverRules  # noqa: PLC0415 - as above

    config = project_config(context)
    only = re.compile(re.escape(group))
    rules = ObserverRules(groups=only, read_uncommitted=only if read_uncommitted else re.compile(r"(?!)"))
    with closing(Survey(Connection.of(config.kafka), "penstock-lag")) as survey:
        observer = Observer(survey, rules, SystemClock())
        seen = observer.cycle()
        for _ in range(_TRIES):
            if not any(seen.degraded.values()):
                break
            seen = observer.cycle()  # leaders move, and a new client does not know them yet
    left_out = sum(seen.degraded.values())
    if group not in seen.groups and not seen.backlogs:
        raise UsageError(
            f"there is no group '{group}' at {config.kafka.bootstrap_servers}, or it has committed nothing"
        )
    rows = [_row(backlog, seen) for backlog in seen.backlogs]
    if as_json:
        state = seen.groups.get(group)
        print_json(
            {
                "group": group,
                "state": None if state is None else state.state,
                "members": None if state is None else state.members,
                "partitions": rows,
            }
        )
        return
    _print(rows)
    if left_out:
        typer.echo(f"{counted(left_out, 'partition')} did not answer and are not shown", err=True)


def _row(backlog: Backlog, seen: Observation) -> dict[str, Any]:
    extent = seen.extents[backlog.topic, backlog.partition]
    return {
        "topic": backlog.topic,
        "partition": backlog.partition,
        "committed": backlog.committed,
        "end": backlog.end,
        "lag": backlog.lag,
        "held_back": extent.high_watermark - backlog.end,
        "time_lag_s": None if backlog.time_lag is None else round(backlog.time_lag.seconds, 3),
        "time_lag_error_s": None if backlog.time_lag is None else round(backlog.time_lag.error_s, 3),
        "headroom": None if backlog.headroom is None else round(backlog.headroom, 3),
        "lost": max(0, extent.begin - backlog.committed) if backlog.committed is not None else 0,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    print_table(
        ("topic", "partition", "committed", "end", "lag", "held back", "next record's age", "head-room"),
        (
            (
                row["topic"],
                row["partition"],
                "-" if row["committed"] is None else f"{row['committed']:,}",
                f"{row['end']:,}",
                "-" if row["lag"] is None else f"{row['lag']:,}" + (f" (+{row['lost']:,} lost)" if row["lost"] else ""),
                f"{row['held_back']:,}",
                _age(row["time_lag_s"], row["time_lag_error_s"]),
                "-" if row["headroom"] is None else f"{row['headroom']:.0%}",
            )
            for row in rows
        ),
        numbers=("partition", "committed", "end", "lag", "held back", "next record's age", "head-room"),
    )


def _age(seconds: float | None, error_s: float | None) -> str:
    if seconds is None:
        return "not known"
    return "-" if not seconds else f"{seconds:,.1f} s" + (f" ± {error_s:,.1f}" if error_s else "")
