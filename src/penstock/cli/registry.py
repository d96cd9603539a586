"""`penstock registry`: a schema registry on this machine, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer


def registry(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen on 127.0.0.1; 0 takes a free port.")] = (
        8081
    ),
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="The Kafka that keeps the schemas; else the project's configuration."),
    ] = None,
) -> None:
    """Run a schema registry for development and a single node, until Ctrl-C.

    It answers Confluent's REST calls for Avro and keeps everything in Kafka's topic _schemas, in the layout that
    Confluent's registry and Karapace read: moving to one of them is a change of URL. Only one process may write that
    topic; a second one is refused (exit code 6). There is no authentication: it listens on this machine only.
    """
    import logging  # noqa: PLC0415 - `penstock --help` must not pay for what only this command needs

    from penstock.cli.invocation import project_config  # noqa: PLC0415
    from penstock.embedded.registry.process import serve  # noqa: PLC0415
    from penstock.kafka.client import Connection  # noqa: PLC0415

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    if bootstrap_servers is None:
        connection = Connection.of(project_config(context).kafka)
    else:
        connection = Connection(bootstrap_servers)
    serve(connection, port=port, on_ready=lambda url: _announce(url, connection.bootstrap_servers))


def _announce(url: str, bootstrap_servers: str) -> None:
    typer.echo(f"schema registry on {url}, kept in _schemas at {bootstrap_servers}")
    typer.echo("development and single node; Ctrl-C ends it")
