"""librdkafka's options: passed through verbatim, but for those that would break the guarantee."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

OptionValue = str | int | bool

REDACTED = "**********"

_SECRET = re.compile(
    r"password|passphrase|secret|user\.info|jaas|api\.key|oauthbearer\.config|\.key\.pem$|^ssl_key$|token(?!\.endpoint)"
)
_USER_INFO = re.compile(r"(?<=://)[^/\s]+(?=@)")  # up to the last @: a password may hold one

_OFFSETS = "offsets are committed inside the transaction, together with what was made of the records"
_IDEMPOTENCE = "the transactional producer needs it as it is: duplicates or holes could be committed otherwise"
_FIXED = "the engine relies on its own value"
_DOUBT = "a commit that takes as long as a retry is how a request that was sent twice is noticed"

_ASSIGNOR = "it follows from the pipeline: tasks that read several topics need the same partition of each on one worker"

_REFUSED = {
    "bootstrap.servers": "set kafka.bootstrap_servers",
    "metadata.broker.list": "set kafka.bootstrap_servers",
    "client.id": "it is derived from the transactional.id, by which a takeover recognises a live predecessor",
    "group.id": "the consumer group is named after the pipeline: another name would start a second lineage of state",
    "group.protocol": "set processing.group_protocol",
    "group.instance.id": "set processing.static_membership; it is derived from the transactional.id",
    "session.timeout.ms": "set processing.session_timeout_ms",
    "heartbeat.interval.ms": "it follows from processing.session_timeout_ms",
    "partition.assignment.strategy": _ASSIGNOR,
    "group.remote.assignor": _ASSIGNOR,
    "enable.auto.commit": _OFFSETS,
    "auto.commit.enable": _OFFSETS,
    "auto.commit.interval.ms": _OFFSETS,
    "auto.commit.interval": _OFFSETS,
    "enable.auto.offset.store": _OFFSETS,
    "auto.offset.reset": "start positions are chosen explicitly; a lost position must stop the task, not skip records",
    "isolation.level": "inputs are read read_committed: records of aborted transactions must not be processed",
    "enable.idempotence": _IDEMPOTENCE,
    "enable.gapless.guarantee": _IDEMPOTENCE,
    "acks": _IDEMPOTENCE,
    "request.required.acks": _IDEMPOTENCE,
    "transactional.id": "it is derived from the name of the pipeline or producer, so that a restart fences its past",
    "transaction.timeout.ms": "set publishing.transaction_timeout_ms and processing.transaction_timeout_ms",
    "allow.auto.create.topics": "a misspelt topic must be an error, not a new topic with one partition",
    "partitioner": "keys are partitioned as Java does it (murmur2): another way tears the order of a key apart",
    "enable.partition.eof": _FIXED,
    "check.crcs": _FIXED,
    "delivery.report.only.error": _FIXED,
    "retry.backoff.ms": _DOUBT,
    "retry.backoff.max.ms": _DOUBT,
}

_IN_FLIGHT = ("max.in.flight.requests.per.connection", "max.in.flight")
_WITHIN_TRANSACTION = ("message.timeout.ms", "delivery.timeout.ms", "socket.timeout.ms")
_TOO_LONG = (
    "{value} is more than {section}.transaction_timeout_ms ({timeout}): the client would still retry when the broker "
    "has aborted the transaction; lower the one or raise the other"
)


def refused_options() -> frozenset[str]:
    """The options that are refused whatever their value is."""
    return frozenset(_REFUSED)


def is_secret(option: str) -> bool:
    """Whether the option's value must never be shown."""
    return _SECRET.search(option.lower()) is not None


def redact(option: str, value: OptionValue) -> OptionValue:
    """The value as it may be shown: secrets starred, credentials in URLs too."""
    if is_secret(option):
        return REDACTED
    return redact_url(value) if isinstance(value, str) else value


def redact_url(text: str) -> str:
    """The text with `user:password@` starred in every URL."""
    return _USER_INFO.sub(REDACTED, text)


class ClientOptions(dict[str, OptionValue]):
    """librdkafka options by name; its repr stars the secrets, so that it may end in a log or an error."""

    def __repr__(self) -> str:
        """The redacted options."""
        return repr({name: redact(name, value) for name, value in self.items()})


def refusals(options: Mapping[str, OptionValue], timeouts_ms: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Those of the options that are refused, each with the reason.

    Args:
        options: as configured.
        timeouts_ms: {section: transaction time-out} that a producer's own time-outs may not exceed; empty for clients
            that produce nothing.
    """
    for name, value in options.items():
        if reason := _REFUSED.get(name):
            yield name, f"cannot be set: {reason}"
        elif name in _IN_FLIGHT and _as_int(value) > 5:
            yield name, f"must be at most 5, got {value}: more requests in flight lose the idempotent producer's order"
        elif name in _WITHIN_TRANSACTION:
            for section, timeout_ms in timeouts_ms.items():
                if _as_int(value) > timeout_ms:
                    yield name, _TOO_LONG.format(value=value, section=section, timeout=timeout_ms)


def _as_int(value: OptionValue) -> int:
    # Not a number: librdkafka names that problem itself when the client is made.
    try:
        return int(value)
    except ValueError:
        return 0
