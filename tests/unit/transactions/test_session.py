"""One identity's transactions, call by call, against a handle that follows a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from penstock.errors import (
    ConfigurationError,
    Fenced,
    KafkaUnavailable,
    OutcomeUnknown,
    ServerUnreachable,
    TransactionAborted,
)
from penstock.protocols import GroupMetadata, InputOffsets, RefusedRecord, TransactionHooks
from penstock.record import Headers
from penstock.transactions.session import TransactionSession


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        assert self.now_s < 10_000, "this is a loop without end"


class Script:
    """What each call of any handle does, in order; a call that is not foreseen succeeds. Keeps the calls."""

    def __init__(self, clock: FakeClock, **steps: Sequence[Exception | float | None]) -> None:
        self.clock = clock
        self.steps = {name: list(planned) for name, planned in steps.items()}
        self.calls: list[str] = []
        self.time_outs: list[float] = []
        self.handles = 0

    def connect(self) -> ScriptedProducer:
        self.handles += 1
        return ScriptedProducer(self, self.handles)

    def call(self, handle: int, name: str) -> None:
        self.calls.append(f"{name}{handle}")
        step = self.steps[name].pop(0) if self.steps.get(name) else None
        if isinstance(step, Exception):
            raise step
        self.clock.now_s += step or 0.0


class ScriptedProducer:
    def __init__(self, script: Script, number: int) -> None:
        self._script, self._number = script, number

    def init_transactions(self, timeout_s: float) -> None:
        self._script.time_outs.append(timeout_s)
        self._script.call(self._number, "init")

    def begin_transaction(self) -> None:
        self._script.call(self._number, "begin")

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        *,
        partitions: Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
        timestamps_ms: Sequence[int] | None = None,
    ) -> None:
        told = (topic, keys, values, partitions, headers, timestamps_ms)
        raise AssertionError(f"a session produces nothing by itself: {told}")

    def flush(self, timeout_s: float) -> None:
        self._script.time_outs.append(timeout_s)
        self._script.call(self._number, "flush")

    def send_offsets(self, offsets: Mapping[tuple[str, int], tuple[int, str]], group: object, timeout_s: float) -> None:
        del offsets, group
        self._script.time_outs.append(timeout_s)
        self._script.call(self._number, "offsets")

    def commit_transaction(self, timeout_s: float) -> None:
        self._script.time_outs.append(timeout_s)
        self._script.call(self._number, "commit")

    def refused(self) -> list[RefusedRecord]:
        return []

    def close(self) -> None:
        self._script.call(self._number, "close")

    def doubt(self) -> str | None:
        return None


def session_of(script: Script, *, budget_s: float = 10.0, open_budget_s: float = 20.0) -> TransactionSession:
    return TransactionSession(
        script.connect, clock=script.clock, hooks=TransactionHooks(), budget_s=budget_s, open_budget_s=open_budget_s
    )


AWAY = KafkaUnavailable("the coordinator is away")


def test_a_transaction_flushes_before_it_commits() -> None:
    script = Script(FakeClock())
    session = session_of(script)
    session.open()
    session.begin()
    session.commit()
    assert script.calls == ["init1", "begin1", "flush1", "commit1"]
    assert session.age_s == 0.0


def test_a_retriable_commit_is_repeated_and_nothing_else_is() -> None:
    script = Script(FakeClock(), commit=[AWAY, AWAY, None])
    session = session_of(script)
    session.open()
    session.begin()
    session.commit()
    assert script.calls == ["init1", "begin1", "flush1", "commit1", "commit1", "commit1"]


def test_a_commit_that_is_not_answered_within_the_budget_is_unknown() -> None:
    """It is never taken for aborted, however long it stays away."""
    script = Script(FakeClock(), commit=[AWAY] * 10_000)
    session = session_of(script, budget_s=10.0)
    session.open()
    session.begin()
    with pytest.raises(OutcomeUnknown, match="not answered within 10 s"):
        session.commit()
    assert 10 <= script.clock.now_s < 12
    assert set(script.calls[3:]) == {"commit1"}


def offsets_of(script: Script) -> Callable[[], InputOffsets]:
    """Asked for when they are to be sent."""

    def offsets() -> InputOffsets:
        script.calls.append("asked")
        return InputOffsets({("in", 0): (1, "")}, GroupMetadata(None, 1, "me"))

    return offsets


def test_offsets_are_asked_for_behind_the_flush_and_once_however_often_they_are_sent() -> None:
    """The same arguments each time; a membership that was read before the flush may be an older one."""
    script = Script(FakeClock(), offsets=[AWAY, AWAY, None])
    session = session_of(script)
    session.open()
    session.begin()
    session.commit(offsets_of(script))
    assert script.calls == ["init1", "begin1", "flush1", "asked", "offsets1", "offsets1", "offsets1", "commit1"]


def test_offsets_that_are_not_answered_within_the_budget_abort_what_was_not_committed_yet() -> None:
    script = Script(FakeClock(), offsets=[AWAY] * 10_000)
    session = session_of(script, budget_s=10.0)
    session.open()
    session.begin()
    with pytest.raises(TransactionAborted, match="not answered within 10 s"):
        session.commit(offsets_of(script))
    assert 10 <= script.clock.now_s < 12
    assert "commit1" not in script.calls
    session.open()
    assert script.calls[-2:] == ["close1", "init2"]


@pytest.mark.parametrize("error", [Fenced("x"), TransactionAborted("x")])
def test_an_error_of_the_offsets_passes_through_at_once(error: Exception) -> None:
    script = Script(FakeClock(), offsets=[error])
    session = session_of(script)
    session.open()
    session.begin()
    with pytest.raises(type(error)):
        session.commit(offsets_of(script))
    assert script.calls.count("offsets1") == 1
    assert "commit1" not in script.calls


def test_no_commit_call_waits_longer_than_what_is_left() -> None:
    clock = FakeClock()
    script = Script(clock, commit=[AWAY] * 10_000)
    session = session_of(script, budget_s=10.0)
    session.open()
    session.begin()
    clock.now_s += 7
    with pytest.raises(OutcomeUnknown):
        session.commit()
    assert script.time_outs[1] == 3.0  # flush
    assert max(script.time_outs[2:]) == 3.0
    assert min(script.time_outs[2:]) == 1.0


@pytest.mark.parametrize("error", [OutcomeUnknown("x"), Fenced("x"), TransactionAborted("x")])
@pytest.mark.parametrize("call", ["begin", "flush", "commit"])
def test_an_error_passes_through_and_open_is_the_way_on(call: str, error: Exception) -> None:
    """Nothing is called on the old handle any more but `close`."""
    script = Script(FakeClock(), **{call: [error]})
    session = session_of(script)
    session.open()
    with pytest.raises(type(error)):
        _transact(session)
    before = len(script.calls)
    session.open()
    _transact(session)
    assert script.calls[before:] == ["close1", "init2", "begin2", "flush2", "commit2"]


def _transact(session: TransactionSession) -> None:
    session.begin()
    session.commit()


def test_open_waits_for_a_coordinator_that_comes_back() -> None:
    script = Script(FakeClock(), init=[AWAY] * 5)
    session_of(script).open()
    assert script.calls == ["init1"] * 6


def test_open_gives_up_after_its_budget() -> None:
    script = Script(FakeClock(), init=[AWAY] * 10_000)
    with pytest.raises(ServerUnreachable, match="the coordinator is away; gave up after 20 s"):
        session_of(script, open_budget_s=20.0).open()
    assert 20 <= script.clock.now_s < 22


def test_open_does_not_repeat_what_cannot_help() -> None:
    script = Script(FakeClock(), init=[ConfigurationError("no right")])
    with pytest.raises(ConfigurationError):
        session_of(script).open()
    assert script.calls == ["init1"]


def test_the_budget_counts_from_begin() -> None:
    clock = FakeClock()
    session = session_of(Script(clock), budget_s=10.0)
    session.open()
    clock.now_s += 100
    session.check_budget()
    session.begin()
    clock.now_s += 9
    session.check_budget()
    assert session.age_s == 9
    clock.now_s += 2
    with pytest.raises(TransactionAborted, match="older than its budget of 10 s"):
        session.check_budget()


def test_closing_twice_closes_one_handle_once() -> None:
    script = Script(FakeClock())
    session = session_of(script)
    session.close()
    session.open()
    session.close()
    session.close()
    assert script.calls == ["init1", "close1"]


def test_a_session_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        _ = session_of(Script(FakeClock())).producer
