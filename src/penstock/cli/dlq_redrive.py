"""`penstock dlq redrive | drop | reopen | log`: what becomes of dead letters, exactly once."""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from penstock.cli.decoding import avro_decoder
from penstock.cli.dlq_display import shown_time
from penstock.cli.dlq_options import (
    AsJson,
    Partition,
    Since,
    Topic,
    Until,
    Where,
    readable_by,
    selection_of,
    surroundings,
)
from penstock.cli.invocation import log_as_a_service, project_config
from penstock.cli.output import counted, print_json, print_table
from penstock.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.config import Config
    from penstock.redrive.ledger import Action, Run
    from penstock.redrive.opening import Cluster
    from penstock.redrive.original import Route
    from penstock.redrive.plan import Plan
    from penstock.redrive.run import RedriveRun
    from penstock.redrive.selection import Selection

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Letters at most.")]


def add_to(app: typer.Typer) -> None:
    """Make these commands of the group."""
    for command in (redrive, drop, reopen, log):
        app.command()(command)


def redrive(
    context: typer.Context,
    topic: Topic,
    *,
    where: Where = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    to: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Write to this topic; else to where each came from.")
    ] = None,
    edit: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="A function of the project that is given each original as a penstock.Record of bytes, and gives the "
            "record to write, or None to leave the letter as it is.",
        ),
    ] = None,
    for_all: Annotated[
        bool,
        typer.Option(
            "--for-all", help="For all that read the topic; else only the pipeline that failed takes the records again."
        ),
    ] = False,
    timestamp: Annotated[
        Literal["original", "now"], typer.Option(help="The time that the records are stamped with.")
    ] = "original",
    max_redrives: Annotated[
        int, typer.Option(min=1, help="A record that was redriven so often, and failed each time, stays.")
    ] = 3,
    limit: Limit = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Letters per second at most.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write the originals back to where they came from, exactly once.

    Records and the ledger of what was redriven are committed together: after any crash, or Ctrl-C, run the same
    command again. A letter is redriven once, whatever selections overlap; `reopen` allows it a second time. Other
    pipelines that read the topic pass over what is not for them. Exit code 1 if letters were held back, each kind with
    its reason.

    \b
    penstock dlq redrive dlq.delays.flights --dry-run
    penstock dlq redrive dlq.delays.flights -w fingerprint=3fa9 --limit 10
    penstock dlq redrive dlq.delays.flights --rate 500
    penstock dlq redrive connect-errors --to orders --edit mending:price
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.redrive.edit import edit_at  # noqa: PLC0415 - keeps `--help` fast
    from penstock.redrive.original import Route  # noqa: PLC0415

    config = project_config(context)
    function = None if edit is None else edit_at(edit, config.root)

    def route(cluster: Cluster, run_id: str) -> Route:
        if to is not None:
            cluster.check(to)
        if to == topic:
            raise UsageError(f"--to {to}: that is the dead-letter topic itself")
        return Route(
            cluster.targets(),
            run_id,
            groups=cluster.groups(),
            prefix=config.project.prefixed(""),
            for_all=for_all,
            to=to,
            edit=function,
            now=timestamp == "now",
            max_redrives=max_redrives,
        )

    _run(
        context,
        config,
        "redrive",
        topic,
        selection_of(where, since, until, partition),
        route=route,
        told={"to": to or "", "edit": edit or ""},
        limit=limit,
        rate=rate,
        dry_run=dry_run,
        as_json=as_json,
    )


def drop(
    context: typer.Context,
    topic: Topic,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stands in the ledger.")],
    where: Where = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say that letters are dealt with, without writing them back: they count as dropped, and no redrive takes them.

    Nothing is deleted, and `reopen` takes it back. Who did it, when and why stands in the ledger.
    """
    _run(
        context,
        project_config(context),
        "drop",
        topic,
        selection_of(where, since, until, partition),
        told={"reason": reason},
        limit=limit,
        dry_run=dry_run,
        as_json=as_json,
    )


def reopen(
    context: typer.Context,
    topic: Topic,
    *,
    where: Where = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take back that letters were redriven or dropped: the next redrive takes them again."""
    _run(
        context,
        project_config(context),
        "reopen",
        topic,
        selection_of(where, since, until, partition),
        limit=limit,
        dry_run=dry_run,
        as_json=as_json,
    )


def log(context: typer.Context, as_json: AsJson = False) -> None:
    """List what was done with dead letters: who, when, what, how many. The latest stands last."""
    from penstock.redrive.opening import Cluster  # noqa: PLC0415 - keeps `--help` fast

    runs = Cluster(surroundings(project_config(context))).runs()
    if as_json:
        print_json(runs)
        return
    print_table(
        ("run", "when", "who", "what", "letters", "topic", "selection", "state"),
        (
            (run.id, shown_time(run.started_ms), run.who, run.action, run.letters, run.topic, _asked(run), _state(run))
            for run in runs
        ),
        numbers=("letters",),
    )


def _asked(run: Run) -> str:
    from penstock.cli.rendering import printable  # noqa: PLC0415 - keeps `--help` fast

    parts = [
        run.selection,
        f"to {run.to}" if run.to else "",
        f"edit {run.edit}" if run.edit else "",
        f"reason: {run.reason}" if run.reason else "",
    ]
    return printable(", ".join(filter(None, parts)) or "all")


def _state(run: Run) -> str:
    return "done" if run.is_finished else "stopped before its end"


# ---------------------------------------------------------------- a run


def _run(
    context: typer.Context,
    config: Config,
    action: Action,
    topic: str,
    selection: Selection,
    *,
    route: Callable[[Cluster, str], Route] | None = None,
    told: dict[str, str] | None = None,
    limit: int | None = None,
    rate: float | None = None,
    dry_run: bool,
    as_json: bool,
) -> None:
    from penstock.cli.redrive_display import RedriveDisplay  # noqa: PLC0415 - keeps `--help` fast
    from penstock.redrive.ledger import Run  # noqa: PLC0415
    from penstock.redrive.opening import Cluster, new_run_id, opened, whoever  # noqa: PLC0415
    from penstock.redrive.plan import plan_of  # noqa: PLC0415

    around = surroundings(config)
    cluster = Cluster(around)
    letters = cluster.letters(topic, selection)
    now_ms = around.clock.now_ms()
    run_id = new_run_id(now_ms)
    chosen = None if route is None else route(cluster, run_id)
    words = told or {}
    account = Run(
        id=run_id,
        action=action,
        topic=topic,
        selection=str(selection),
        to=words.get("to", ""),
        edit=words.get("edit", ""),
        reason=words.get("reason", ""),
        who=whoever(),
        started_ms=now_ms,
    )
    with avro_decoder(config) as decode_avro:
        readable = readable_by(decode_avro)
        if dry_run:
            with RedriveDisplay(f"{action} {topic}", letters) as display:
                found, ledger = display.followed(), cluster.ledger(topic)
                plan = plan_of(action, found, ledger, selection, readable, chosen, now_ms=now_ms, limit=limit)
            _print_plan(account, plan, as_json=as_json)
            return
        log_as_a_service(context, config, redrive=run_id)
        display = RedriveDisplay(f"{action} {topic}", letters)
        with (
            opened(
                account,
                around,
                display,
                cluster=cluster,
                selection=selection,
                readable=readable,
                route=chosen,
                letters=display.followed,
            ) as run,
            display,
        ):
            _stop_on_signals(run)
            done = run.run(limit=limit, rate=rate)
    _print_done(done, as_json=as_json)
    if done.held:
        raise typer.Exit(ExitCode.FINDINGS)


def _print_done(done: Run, *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    verb = {"redrive": "redriven", "drop": "dropped", "reopen": "reopened"}[done.action]
    typer.echo(f"{counted(done.letters, 'letter')} {verb}" + (f", run {done.id}" if done.letters else ""))
    for topic, count in sorted(done.targets.items()):
        typer.echo(f"  {count:,} to {topic}")
    _print_held(done.held)
    if not done.is_finished:
        typer.echo("  stopped before its end; the same command goes on")


def _print_plan(account: Run, plan: Plan, *, as_json: bool) -> None:
    if as_json:
        document: dict[str, Any] = {
            "action": account.action,
            "topic": account.topic,
            "letters": plan.letters,
            "targets": dict(plan.targets),
            "held": dict(plan.held),
            "done_before": plan.done,
            "samples": [{"letter": letter, "to": to} for letter, to in plan.samples],
        }
        print_json(document)
        return
    typer.echo(f"would {account.action} {counted(plan.letters, 'letter')}; nothing was done")
    for topic, count in sorted(plan.targets.items()):
        typer.echo(f"  {count:,} to {topic}")
    _print_held(plan.held)
    if plan.done:
        typer.echo(f"  {plan.done:,} passed over: dealt with before")
    for letter, to in plan.samples:
        typer.echo(f"  {letter.removeprefix(account.topic)}" + (f" -> {to}" if to else ""))


def _print_held(held: dict[str, int]) -> None:
    from penstock.redrive.original import WHY  # noqa: PLC0415 - keeps `--help` fast

    reasons: dict[str, str] = dict(WHY.items())
    for why, count in sorted(held.items()):
        typer.echo(f"  {count:,} held back ({why}): {reasons.get(why, why)}")


def _stop_on_signals(run: RedriveRun) -> None:
    def stop(number: int, _frame: FrameType | None) -> None:
        run.stop()
        signal.signal(number, signal.default_int_handler)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
