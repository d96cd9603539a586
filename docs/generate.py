"""Writes the parts of the reference that the code knows best: `python -m docs.generate`.

A test compares what this makes with what is checked in.
"""
# ruff: noqa: INP001 - a script beside the pages it writes, not a package

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer.main

from penstock.cli.app import app
from penstock.config import schema
from penstock.errors import ExitCode
from penstock.monitoring.catalogue import WORKER
from penstock.monitoring.compat_catalogue import COMPAT
from penstock.monitoring.exporter_catalogue import EXPORTER
from penstock.monitoring.metric import Metric
from penstock.monitoring.publishing_catalogue import PUBLISHING
from penstock.monitoring.shipped.rules import RECORDED

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by `python -m docs.generate`; change the code, not this page. -->"

BAR = "\\|"
"""A bar inside a cell of a table."""

CONFIGURATION = f"""{NOTE}
# Configuration

`penstock.toml` is found from the current folder upwards; its folder is the project's root. Values come from four
places, the first that has one wins:

1. the environment: `PENSTOCK_<SECTION>__<KEY>`, such as `PENSTOCK_KAFKA__BOOTSTRAP_SERVERS`
2. the profile: `[profiles.<name>.<section>]`, chosen by `--profile` or `PENSTOCK_PROFILE`, `dev` if neither says so
3. the file: `[<section>]`
4. the default

`penstock config show` prints every value in force with the place it came from. Unknown keys and unknown `PENSTOCK_`
variables are refused, and all problems are reported together. Editors that know JSON schema check and complete the file
with [`penstock.schema.json`](penstock.schema.json), which `penstock config schema` prints too.

[How to configure a project](../how-to/configure.md) has examples, and says which librdkafka options are refused and
why.

"""

COMMANDS = f"""{NOTE}
# Commands

Options of `penstock` itself stand before the command: `penstock --profile prod topics`.

"""


METRICS = f"""{NOTE}
# Metrics

What `/metrics` of a worker, of `penstock produce --port N` and of `penstock lag-exporter` tells, in the text format of
Prometheus. A worker speaks OpenMetrics, with exemplars, with whoever takes that.
[Watch a pipeline](../how-to/watch-a-pipeline.md) says how to have it collected.

- What says *committed* moves with the commit of the transaction, and not before: work that was discarded is not in it.
- What is told per partition, task or group comes from the newest look and from nowhere else: a series ends where its
  partition has gone to another worker, and where nothing is known there is no series, never 0, -1 or NaN.
- Times are instants in seconds since 1970 UTC: `time() - penstock_last_poll_timestamp_seconds` is an age.

"""


def pages() -> dict[str, str]:
    """{file name in docs/reference: content}."""
    return {
        "configuration.md": CONFIGURATION + schema.reference(),
        "penstock.schema.json": json.dumps(schema.json_schema(), indent=2) + "\n",
        "metrics.md": METRICS
        + "\n".join(
            [
                *_metrics("Of a worker", WORKER),
                *_metrics("Of a producer", PUBLISHING),
                *_metrics("Of the lag exporter", EXPORTER),
                *_other_names(),
                *_recorded(),
            ]
        ),
        "commands.md": COMMANDS + "\n".join(_command(typer.main.get_command(app), "penstock")) + _exit_codes(),
    }


def _other_names() -> Iterator[str]:
    """A table of what `--compat` adds."""
    yield "## Of the lag exporter with `--compat`\n\nAll are gauges.\n\n| metric | labels | is |\n|---|---|---|"
    for metric in COMPAT:
        yield f"| `{metric.name}` | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |"
    yield ""


def _recorded() -> Iterator[str]:
    """A table of what the shipped rules have Prometheus work out."""
    yield "## Worked out by the rules of `monitoring/`\n\n| series | labels | meaning |\n|---|---|---|"
    for rule in RECORDED:
        yield f"| `{rule.name}` | {', '.join(f'`{label}`' for label in rule.labels)} | {rule.help} |"


def _metrics(title: str, metrics: Sequence[Metric]) -> Iterator[str]:
    """A table of metrics, and what their closed labels can be."""
    yield f"## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|"
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"
    yield "\n| label | of | can be |\n|---|---|---|"
    for metric in metrics:
        for label, values in metric.values:
            yield f"| `{label}` | `{metric}` | {', '.join(f'`{value}`' for value in values)} |"
    yield "\n| histogram | upper edges |\n|---|---|" if any(metric.buckets for metric in metrics) else ""
    for metric in metrics:
        if metric.buckets:
            yield f"| `{metric.name}` | {' '.join(f'{edge:g}' for edge in metric.buckets)} |"
    yield ""


def _command(command: Any, path: str) -> Iterator[str]:
    """A command and those below it."""
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and not param.hidden]
    below = getattr(command, "commands", {})
    usage = [
        path,
        *(_argument(param) for param in arguments),
        "[OPTIONS]" if options else "",
        "COMMAND" if below else "",
    ]
    yield f"## `{path}`\n\n{_help(command)}\n\n```text\n{' '.join(part for part in usage if part)}\n```\n"
    if arguments or options:
        yield "| argument or option | meaning |\n|---|---|"
        yield from (f"| `{_argument(param)}` | {_cell(param)} |" for param in arguments)
        yield from (f"| `{_option(param)}` | {_cell(param)} |" for param in options)
        yield ""
    for name, each in below.items():
        if not each.hidden:
            yield from _command(each, f"{path} {name}")


def _help(command: Any) -> str:
    """The help text, its example blocks (after a backspace) as code."""
    text = inspect.cleandoc(command.help or "").replace("[bold]", "`").replace("[/bold]", "`")
    parts = [part.strip("\n") for part in text.split("\n\n")]
    return "\n\n".join(f"```text\n{part[1:].strip()}\n```" if part.startswith("\b") else part for part in parts)


def _argument(param: Any) -> str:
    name = (param.metavar or param.name).upper()
    return name if param.required else f"[{name}]"


def _option(param: Any) -> str:
    names = ", ".join(sorted(param.opts, key=len))
    return names if param.is_flag else f"{names} {(param.metavar or 'N').replace('|', BAR)}"


def _cell(param: Any) -> str:
    default = param.default
    told = isinstance(default, str | int) and not isinstance(default, bool)
    return (param.help or "").replace("|", BAR) + (f" Default: `{default}`." if told else "")


def _exit_codes() -> str:
    codes = ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)
    return f"\nEvery command ends with one of the [exit codes](exit-codes.md): {codes}.\n"


def main() -> None:
    """Write the pages."""
    for name, content in pages().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
