"""`penstock run NAME`: run a worker of a pipeline, or several, until they are stopped."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.drain import Drain
from penstock.cli.garbage import settle
from penstock.cli.invocation import invocation, log_as_a_service, project_config
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.config import Config
    from penstock.kafka.registry import RegistryClient
    from penstock.runtime.opening import WorkerSurroundings
    from penstock.topology.topology import Topology


def run(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="NAME|MODULE:ATTRIBUTE", help="The pipeline, or where it is.")],
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes, started again when they die; else processing.workers."),
    ] = None,
    instance: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Names this place among those of the pipeline; else processing.instance."),
    ] = None,
    accept_state_loss: Annotated[
        bool,
        typer.Option(
            "--accept-state-loss",
            help="Start though this code loses state of what is deployed; what is lost is deleted. Once is enough.",
        ),
    ] = False,
    number: Annotated[int | None, typer.Option("--worker", min=0, hidden=True)] = None,
    supervisor: Annotated[int | None, typer.Option(hidden=True)] = None,
    port: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run workers of a pipeline: outputs, state, dead letters and offsets commit together.

    After any crash, run the same command again: it goes on exactly where the last transaction ended. Ctrl-C or SIGTERM
    commits what is done and leaves the group; a second one, or the end of processing.shutdown_grace_ms, stops at once,
    which loses nothing either. Exit code 5 when a record failed whose policy is to stop, or when the code would lose
    state of what is deployed; 6 when another process has this worker's name.

    Without --workers the command is the one worker, for a supervisor of your own to start again.

    \b
    penstock topology flight-status     see what it will do
    penstock plan flight-status         see what it changes of what is deployed
    penstock run flight-status
    penstock run flight-status --workers 4
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.cli.supervised import WorkerStart, supervise  # noqa: PLC0415 - keeps `--help` fast
    from penstock.config.modules import package_of  # noqa: PLC0415 - as above
    from penstock.dsl.discovery import pipeline_named  # noqa: PLC0415 - as above
    from penstock.supervisor.cgroup import memory_limit  # noqa: PLC0415 - as above
    from penstock.supervisor.memory import memory_budget, require_memory  # noqa: PLC0415 - as above
    from penstock.supervisor.parent import die_with  # noqa: PLC0415 - as above

    if supervisor is not None:
        die_with(supervisor)
    config = project_config(context)
    place = _instance(config, instance)
    package = package_of(config.project.processors, config.root, f"{config.file}: project.processors")
    topology = pipeline_named(pipeline, config.root, package).topology()
    if number is None:
        wanted = workers or config.processing.workers
        require_memory(memory_budget(config, wanted, f"{config.project.prefixed(topology.name)}.*"), memory_limit())
        if wanted is not None:
            log_as_a_service(context, config, pipeline=topology.name)
            start = WorkerStart(
                invocation(context),
                pipeline,
                place,
                accept_state_loss=accept_state_loss,
                port=config.monitoring.port,
            )
            supervise(config, start, wanted)
            return
        number = 0
    log_as_a_service(context, config, pipeline=topology.name, worker=f"{place}.{number}")
    if supervisor is None:
        port = config.monitoring.port
    _work(config, topology, place, number, port, accept_state_loss=accept_state_loss)


def _instance(config: Config, given: str | None) -> str:
    from penstock.config.model import INSTANCE  # noqa: PLC0415 - keeps `--help` fast
    from penstock.transactions.instance import kept_instance  # noqa: PLC0415 - as above

    if given is not None and not re.fullmatch(INSTANCE, given):
        raise UsageError(f"--instance {given}: should be lower-case letters, digits and dashes, no dash first")
    return given or config.processing.instance or kept_instance(config.state.create())


def _work(
    config: Config, topology: Topology, instance: str, number: int, port: int | None, *, accept_state_loss: bool
) -> None:
    """Be the worker of this number."""
    from penstock.kafka.registry import RegistryClient  # noqa: PLC0415 - keeps `--help` fast
    from penstock.runtime.hook_chain import HookChain  # noqa: PLC0415 - as above
    from penstock.runtime.opening import opened  # noqa: PLC0415 - as above
    from penstock.supervisor.heartbeat import Heartbeat  # noqa: PLC0415 - as above
    from penstock.supervisor.observed import observed  # noqa: PLC0415 - as above

    with (
        Drain(config.processing.shutdown_grace_ms / 1000) as drain,
        closing(RegistryClient.of(config.registry)) as registry,
    ):
        around = _surroundings(config, registry, instance, number, accept_state_loss=accept_state_loss)
        writer = around.writer(topology)
        heartbeat = Heartbeat(around.state_directory, writer, around.clock)
        with (
            observed(config, topology.name, writer, around.state_directory, around.clock, port) as seen,
            opened(topology, seen.surroundings(around, writer), HookChain(heartbeat, seen.hooks)) as worker,
        ):
            seen.watch(worker)
            drain.calls(lambda: seen.stop(worker))
            settle()
            worker.run()


def _surroundings(
    config: Config, registry: RegistryClient, instance: str, number: int, *, accept_state_loss: bool
) -> WorkerSurroundings:
    from penstock.deadletter.parking import ParkingLimits  # noqa: PLC0415 - keeps `--help` fast
    from penstock.kafka.client import Connection  # noqa: PLC0415 - as above
    from penstock.runtime.limits import WorkerLimits  # noqa: PLC0415 - as above
    from penstock.runtime.opening import WorkerSurroundings  # noqa: PLC0415 - as above

    processing = config.processing
    return WorkerSurroundings(
        connection=Connection.of(config.kafka),
        registry=registry,
        auto_register=config.registry.auto_register,
        prefix=config.project.prefixed(""),
        instance=instance,
        worker=number,
        guarantee=processing.guarantee,
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
            hung_after_s=processing.hung_after_ms / 1000 or None,
            parking=ParkingLimits(
                max_keys=config.parking.max_keys,
                max_records_per_key=config.parking.max_records_per_key,
                max_bytes_per_key=config.parking.max_bytes_per_key,
                max_bytes=config.parking.max_bytes,
            ),
        ),
    )
