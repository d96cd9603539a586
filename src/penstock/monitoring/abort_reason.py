"""Why a transaction was discarded, as one of a few words."""

from __future__ import annotations

from typing import Final

from penstock.errors import Fenced, OutcomeUnknown, Retriable
from penstock.kafka.error_map import answer_behind
from penstock.runtime.commit import TornTransaction

_BY_CODE: Final = {
    "ILLEGAL_GENERATION": "rebalance",
    "UNKNOWN_MEMBER_ID": "rebalance",
    "FENCED_INSTANCE_ID": "rebalance",
    "MSG_SIZE_TOO_LARGE": "refused",
    "INVALID_RECORD": "refused",
    "INVALID_TXN_STATE": "timeout",
    "_MSG_TIMED_OUT": "timeout",
    "_PURGE_QUEUE": "broker_error",
    "_PURGE_INFLIGHT": "broker_error",
}


def abort_reason(error: Exception, last_step: str) -> str:
    """The word; see `catalogue.ABORTS`.

    Args:
        error: what the transaction was discarded for.
        last_step: the step of the protocol that it happened in.
    """
    if isinstance(error, TornTransaction):
        return "torn"
    if isinstance(error, Fenced):
        return "fenced"
    if isinstance(error, OutcomeUnknown):
        return "in_doubt"
    if isinstance(error, Retriable):
        return "broker_error"
    answer = answer_behind(error)
    if answer is not None:
        return _BY_CODE.get(answer.name(), "other")
    # Membership and ownership are looked at in this step and in no other.
    return "rebalance" if last_step == "metadata" else "other"
