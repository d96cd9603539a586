"""`penstock schemas`: lint, check, codegen, register."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from penstock.cli.invocation import project_config
from penstock.cli.output import print_json, print_table
from penstock.errors import ExitCode, UsageError
from penstock.schemas.report import Finding, Format, render

if TYPE_CHECKING:
    from penstock.schemas.compatibility import Level
    from penstock.schemas.manifest import Manifest
    from penstock.schemas.tree import SchemaTree

app = typer.Typer(
    help="Avro schemas: the `.avsc` files of the project, the types made from them, the registry.", no_args_is_help=True
)

Folder = Annotated[
    Path | None,
    typer.Option("--schemas", metavar="DIR", help="Folder of the schemas; else `project.schemas` of penstock.toml."),
]
ReportFormat = Annotated[Format, typer.Option("--format", help="How to print what was found.")]


@app.command()
def lint(context: typer.Context, schemas: Folder = None, form: ReportFormat = Format.TEXT) -> None:
    """Check the schemas by themselves: names, docs, nullability, defaults, times, money, both parsers.

    A schema keeps on purpose what a rule objects to by "penstock.lint.ignore": ["RULE"] on its type. Exit code 1 when
    there are findings.
    """
    from penstock.schemas.lint import lint as find  # noqa: PLC0415 - heavy

    folder = _folder(context, schemas)
    tree, manifest = _read(folder)
    _report(find(tree, manifest), tree, folder, form, "penstock schemas lint")


@app.command()
def check(
    context: typer.Context,
    against: Annotated[
        str, typer.Option(metavar="WHAT", help="git:REVISION, dir:PATH (an older copy of the folder), or registry.")
    ],
    level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="Compatibility for all schemas (FULL, ...), instead of registry.toml's."),
    ] = None,
    schemas: Folder = None,
    form: ReportFormat = Format.TEXT,
) -> None:
    """Compare the schemas with older ones: compatible, and not silently another meaning.

    Registries call a change from milliseconds to microseconds compatible; this command does not. Exit code 1 when there
    are findings.
    """
    from penstock.schemas.baseline import read_git  # noqa: PLC0415 - heavy
    from penstock.schemas.check import check_registry, check_trees  # noqa: PLC0415 - heavy
    from penstock.schemas.tree import load_tree, read_folder  # noqa: PLC0415 - heavy

    folder = _folder(context, schemas)
    tree, manifest = _read(folder)
    asked = None if level is None else _level(level)
    kind, _, where = against.partition(":")
    if against == "registry":
        from penstock.kafka.registry import RegistryClient  # noqa: PLC0415 - heavy

        with closing(RegistryClient.of(project_config(context).registry)) as registry:
            found = check_registry(tree, registry, manifest, level=asked)
    elif kind in {"git", "dir"} and where:
        old = load_tree(read_git(folder, where) if kind == "git" else read_folder(Path(where)))
        found = check_trees(tree, old, manifest, level=asked, label=against)
    else:
        raise UsageError(f"--against {against}: write git:REVISION, dir:PATH or registry")
    _report(found, tree, folder, form, "penstock schemas check")


@app.command()
def codegen(
    context: typer.Context,
    schemas: Folder = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Change nothing; print the difference and exit with 1 if there is one.")
    ] = False,
    style: Annotated[
        Literal["struct", "dataclass"], typer.Option(help="A record becomes a msgspec.Struct, or a dataclass.")
    ] = "struct",
) -> None:
    """Write the Python types: an `__init__.py` per namespace, beside its schemas."""
    from penstock.schemas.codegen import drift, generate, import_name, write  # noqa: PLC0415 - heavy
    from penstock.schemas.module_source import Style  # noqa: PLC0415 - heavy

    folder = _folder(context, schemas)
    tree, _ = _read(folder)
    files = generate(tree, package=import_name(folder), style=Style(style))
    if not only_check:
        changed = write(folder, files)
        for path in changed:
            typer.echo(f"{_shown(folder)}/{path}")
        typer.echo(f"{len(changed)} of {len(files)} generated files changed")
    elif difference := drift(folder, files):
        typer.echo(difference, nl=False)
        typer.echo("the generated types are not what the schemas say; run `penstock schemas codegen`", err=True)
        raise typer.Exit(ExitCode.FINDINGS)
    else:
        typer.echo(f"{len(files)} generated files are what the schemas say")


@app.command()
def register(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be registered; change nothing.")] = False,
    schemas: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Register the schema of every subject in registry.toml; what is there already stays as it is."""
    from penstock.kafka.registry import RegistryClient  # noqa: PLC0415 - heavy
    from penstock.schemas.register import register as put  # noqa: PLC0415 - heavy

    tree, manifest = _read(_folder(context, schemas))
    with closing(RegistryClient.of(project_config(context).registry)) as registry:
        done = put(tree, manifest, registry, dry_run=dry_run)
    if as_json:
        print_json(done)
        return
    rows = [(each.subject, each.file, each.action, each.version, each.id) for each in done]
    print_table(("subject", "file", "dry run" if dry_run else "done", "version", "id"), rows, numbers=("version", "id"))


def _folder(context: typer.Context, given: Path | None) -> Path:
    if given is not None:
        return given
    config = project_config(context)
    return config.root / config.project.schemas


def _read(folder: Path) -> tuple[SchemaTree, Manifest]:
    from penstock.schemas.manifest import read_manifest  # noqa: PLC0415 - heavy
    from penstock.schemas.tree import load_tree, read_folder  # noqa: PLC0415 - heavy

    return load_tree(read_folder(folder)), read_manifest(folder)


def _level(word: str) -> Level:
    from penstock.schemas.compatibility import Level  # noqa: PLC0415 - heavy

    try:
        return Level(word.upper())
    except ValueError as err:
        raise UsageError(f"--level {word}: one of {', '.join(Level)}") from err


def _report(found: Sequence[Finding], tree: SchemaTree, folder: Path, form: Format, suite: str) -> None:
    """Print with paths as seen from the current folder, which is what editors and CI servers want."""
    shown = _shown(folder)
    located = [replace(each, file=f"{shown}/{each.file}") for each in found]
    text = render(located, [f"{shown}/{file.path}" for file in tree.files], form, suite=suite)
    if text:
        typer.echo(text)
    if found:
        raise typer.Exit(ExitCode.FINDINGS)


def _shown(folder: Path) -> str:
    here, absolute = Path.cwd(), folder.resolve()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()
