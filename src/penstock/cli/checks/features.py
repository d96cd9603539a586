"""What this cluster can do, as far as its settings tell: clients are not told Kafka's feature levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from penstock.cli.checks.finding import Finding, good, warning
from penstock.cli.topics import duration

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
