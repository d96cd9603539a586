"""`penstock run NAME`: run one worker of a pipeline until it is stopped."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.drain import Drain
from penstock.cli.garbage import settle
from penstock.cli.invocation import log_as_a_service, project_config

if TYPE_CHECKING:
    from penstock.config import Config
    from penstock.kafka.registry import RegistryClient
    from penstock.runtime.opening import WorkerSurroundings


def run(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="NAME|MODULE:ATTRIBUTE", help="The pipeline, or where it is.")],
    instance: Annotated[
        str, typer.Option(metavar="NAME", help="Names this worker among those of the pipeline; keep it over restarts.")
    ] = "0",
    accept_state_loss: Annotated[
        bool,
        typer.Option(
            "--accept-state-loss",
            help="Start though this code loses state of what is deployed; what is lost is deleted. Once is enough.",
        ),
    ] = False,
) -> None:
    """Run a worker of a pipeline: outputs, state, dead letters and offsets commit together.

    After any crash, run the same command again: it goes on exactly where the last transaction ended. Ctrl-C or SIGTERM
    commits what is done and leaves the group; a second one, or the end of processing.shutdown_grace_ms, stops at once,
    which loses nothing either. Exit code 5 when a record failed whose policy is to stop, or when the code would lose
    state of what is deployed; 6 when another process is this instance.

    \b
    penstock topology flight-status     see what it will do
    penstock plan flight-status         see what it changes of what is deployed
    penstock run flight-status
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.config.modules import package_of  # noqa: PLC0415 - keeps `--help` fast
    from penstock.dsl.discovery import pipeline_named  # noqa: PLC0415 - as above
    from penstock.kafka.registry import RegistryClient  # noqa: PLC0415 - as above
    from penstock.runtime.hooks import WorkerHooks  # noqa: PLC0415 - as above
    from penstock.runtime.opening import opened  # noqa: PLC0415 - as above

    config = project_config(context)
    package = package_of(config.project.processors, config.root, f"{config.file}: project.processors")
    topology = pipeline_named(pipeline, config.root, package).topology()
    log_as_a_service(context, config, pipeline=topology.name, worker=instance)
    with (
        Drain(config.processing.shutdown_grace_ms / 1000) as drain,
        closing(RegistryClient.of(config.registry)) as registry,
        opened(
            topology, _surroundings(config, registry, instance, accept_state_loss=accept_state_loss), WorkerHooks()
        ) as worker,
    ):
        drain.calls(worker.stop)
        settle()
        worker.run()


def _surroundings(
    config: Config, registry: RegistryClient, instance: str, *, accept_state_loss: bool
) -> WorkerSurroundings:
    from penstock.kafka.client import Connection  # noqa: PLC0415 - keeps `--help` fast
    from penstock.runtime.limits import WorkerLimits  # noqa: PLC0415 - as above
    from penstock.runtime.opening import WorkerSurroundings  # noqa: PLC0415 - as above

    processing = config.processing
    return WorkerSurroundings(
        connection=Connection.of(config.kafka),
        registry=registry,
        auto_register=config.registry.auto_register,
        prefix=config.project.prefixed(""),
        instance=instance,
        accept_state_loss=accept_state_loss,
        state_directory=config.state.create(),
        checkpoint_interval_s=config.state.checkpoint_interval_ms / 1000,
        transaction_timeout_ms=processing.transaction_timeout_ms,
        transaction_budget_ms=processing.transaction_budget_ms,
        session_timeout_ms=processing.session_timeout_ms,
        group_protocol=processing.group_protocol,
        static_membership=processing.static_membership,
        limits=WorkerLimits(
            commit_interval_s=processing.commit_interval_ms / 1000,
            max_transaction_records=processing.max_transaction_records,
            max_transaction_bytes=processing.max_transaction_bytes,
            max_batch_records=processing.max_batch_records,
            max_batch_s=processing.max_batch_ms / 1000,
            slow_batch_s=processing.slow_batch_ms / 1000,
        ),
    )
