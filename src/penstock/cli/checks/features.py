"""What this cluster can do, as far as its settings tell: clients are not told Kafka's feature levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from penstock.cli.checks.finding import Finding, bad, good, warning
from penstock.cli.topics import duration
from penstock.config.model import ProcessingSettings

VERIFICATION = "transaction.partition.verification.enable"
CONSUMER_SESSION = "group.consumer.session.timeout.ms"


def features(settings: Mapping[str, str]) -> Iterator[Finding]:
    """From the settings of one broker, defaults included; what it does not know, it does not have."""
    yield _group_protocols(settings)
    yield _verification(settings)


def _group_protocols(settings: Mapping[str, str]) -> Finding:
    names = settings.get("group.coordinator.rebalance.protocols", "classic").replace(",", ", ")
    least, most = (settings.get(f"group.{end}.session.timeout.ms") for end in ("min", "max"))
    told = names
    if least is not None and most is not None:
        told += f"; classic: a dead member is noticed after {duration(int(least))} to {duration(int(most))}, as it asks"
    if CONSUMER_SESSION in settings:
        told += f"; consumer: after {duration(int(settings[CONSUMER_SESSION]))} ({CONSUMER_SESSION})"
    return good("group protocols", told)


def worker_sessions(settings: Mapping[str, str], processing: ProcessingSettings) -> Finding:
    """How soon a dead worker's tasks go to others, and whether the brokers agree to it."""
    subject = "worker sessions"
    names = settings.get("group.coordinator.rebalance.protocols", "classic")
    if processing.group_protocol == "consumer":
        if "consumer" not in names.split(","):
            return bad(
                subject,
                f'processing.group_protocol is "consumer", the brokers have {names} only',
                'set it to "classic", or use brokers of Kafka 4.0 or newer',
            )
        return good(subject, f"a dead worker is noticed after {duration(int(settings.get(CONSUMER_SESSION, 45_000)))}")
    ours = processing.session_timeout_ms
    least, most = (int(settings.get(f"group.{end}.session.timeout.ms", ours)) for end in ("min", "max"))
    if not least <= ours <= most:
        return bad(
            subject,
            f"processing.session_timeout_ms is {ours}, the brokers allow {least} to {most}",
            "set it within these, or change group.min.session.timeout.ms or group.max.session.timeout.ms",
        )
    return good(subject, f"a dead worker is noticed after {duration(ours)}")


def _verification(settings: Mapping[str, str]) -> Finding:
    """KIP-890, first part: without it a produce request that comes late opens a transaction that nobody will end."""
    subject = "late produce requests"
    if settings.get(VERIFICATION) == "true":
        return good(subject, "the brokers refuse those of a transaction that is over (KIP-890)")
    found = "switched off" if VERIFICATION in settings else "not known to these brokers"
    return warning(
        subject,
        f"{VERIFICATION} is {found}: a request that comes late may open a transaction that holds readers back for ever",
        "switch it on; brokers have it since Kafka 3.6",
    )
