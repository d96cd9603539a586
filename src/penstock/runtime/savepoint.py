"""The batch as savepoint: it is tried as a whole, and one record at a time if anything in it fails.

1. What cannot be decoded is set aside at once.
2. The rest runs on the batch overlay. It succeeds: the overlay is accepted.
3. It fails: the overlay is dropped, and the records run one at a time through the same code. The one that fails alone
   is at fault; its policy decides (`judge.py`). Its neighbours are processed as if it had not been there; where it is
   to be tried again later, those behind it wait.
4. What is no record's fault (a registry that is away, a setting) undoes the whole batch and goes up.

There is no undo log: on the good path a savepoint costs nothing.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.batch import SourceBatch
from penstock.clock import Clock, SystemClock
from penstock.deadletter.envelope import message_of
from penstock.deadletter.parking import ParkingLimits
from penstock.errors import OperatorMustDecide, UnencodableValue
from penstock.protocols import RefusedRecord
from penstock.runtime.judge import Judge, Park, Wait
from penstock.runtime.parked import MEND_THE_TOPIC, Judged, ParkedRecords, killer, last_refusal
from penstock.runtime.program import Decoded, Program
from penstock.runtime.route import OperatorFailed
from penstock.runtime.spent import Spent
from penstock.runtime.staged import DeadRecord, OutputBatch, Staged
from penstock.runtime.stream_time import StreamTime
from penstock.runtime.verdict import Attempts, Verdict
from penstock.state.task_state import TaskState
from penstock.topology.policy import Policy, last_resort

_MEND_THE_CODE = "mend the code and deploy it, or set on_error='dead_letter' there to set such records aside"


class RecordFailed(OperatorMustDecide):
    """A record failed, and its policy is to stop the task there.

    Attributes:
        source: the batch that it came in.
        topic: where the record was read.
        partition: likewise.
        offset: likewise.
        headers: the record's.
        place: its place in the source batch; everything before it is accepted.
        operator: the operator that failed; empty where the record could not be decoded.
        stage: where on its way.
        error: what was raised. Its text may hold payload: tell it by `message_of`.
        staged: what the records before it came to.
    """

    def __init__(self, source: SourceBatch, dead: DeadRecord, staged: Staged, *, advice: str = _MEND_THE_CODE) -> None:
        self.source = source
        self.topic, self.partition, self.offset = source.topic, source.partition, source.offsets[dead.place]
        self.headers = source.headers_at(dead.place)
        self.place, self.operator, self.stage, self.error = dead.place, dead.operator, dead.stage, dead.error
        self.staged = staged
        where = f"{self.topic}[{self.partition}]@{self.offset}"
        told = message_of(dead.error).removeprefix(f"{where}: ")
        at = f"'{dead.operator}' (stage {dead.stage})" if dead.operator else f"stage {dead.stage}"
        super().__init__(f"{where} failed at {at}: {told}. The task stops in front of it and nothing is lost: {advice}")


class RecordWaits(Exception):
    """A record failed and is to be tried again later. Stays within the runtime: the task waits in front of it.

    Attributes:
        source: the batch that it came in.
        place: its place in there; everything before it is accepted.
        dead: how it failed.
        wait: how long.
        staged: what the records before it came to.
    """

    def __init__(self, source: SourceBatch, dead: DeadRecord, staged: Staged, wait: Wait) -> None:
        self.source, self.place, self.dead, self.staged, self.wait = source, dead.place, dead, staged, wait
        where = f"{source.topic}[{source.partition}]@{source.offsets[dead.place]}"
        at = f"'{dead.operator}' (stage {dead.stage})" if dead.operator else f"stage {dead.stage}"
        why = " (a dependency is away)" if wait.is_outage else f" (failure {wait.failures})" if wait.failures else ""
        super().__init__(
            f"{where} failed at {at}: {message_of(dead.error)}{why}. It is tried again in {wait.seconds:.1f} s, and "
            "what is behind it in its task waits"
        )


class SavepointLogic:
    """A program and its state: what a task does with its batches.

    Args:
        program: open.
        state: the one that the program works on.
        clock: time, for what is tried again.
        parking: how much may be parked; None = the defaults.
    """

    def __init__(
        self, program: Program, state: TaskState, clock: Clock | None = None, parking: ParkingLimits | None = None
    ) -> None:
        self._program = program
        self._state = state
        clock = clock or SystemClock()
        self._judge = Judge(self._policy, program.group.classify, clock)
        self.parked = ParkedRecords(
            program.parkings(parking or ParkingLimits()), state, self._judge, self._alone, self._refusal, clock
        )

    @property
    def time(self) -> StreamTime:
        """How far in event time the task is."""
        return self._program.time

    @time.setter
    def time(self, time: StreamTime) -> None:
        self._program.time = time

    @property
    def spent(self) -> Spent:
        """Where the time of a batch goes."""
        return self._program.spent

    def close(self) -> None:
        """Close the processors."""
        self._program.close()

    def run_batch(self, source: SourceBatch) -> Staged:
        """Run a batch and accept it. Changes nothing if it raises anything but the first two.

        Raises:
            RecordFailed: a record failed and its policy is to stop. The records before it are accepted.
            RecordWaits: one is to be tried again later. Likewise.
            PenstockError: no record's fault; `Retriable` = the same call again.
        """
        waiting = self._judge.waiting(source)
        if waiting is not None:
            place, failed, wait = waiting
            before = self.run_batch(source.slice(0, place)) if place else Staged()
            raise RecordWaits(source, failed, before, wait)
        decoded = self._program.decode(source)
        dead = [DeadRecord(place, "decode", "", decoded.failures[place]) for place in sorted(decoded.failures)]
        if dead and self._judge.resort("", source.topic) == "fail":
            before = self.run_batch(source.slice(0, dead[0].place))
            raise RecordFailed(source, dead[0], before) from dead[0].error
        held = self.parked.held(source, decoded.batch.rows)
        if held:
            if not self.parked.have_room(source, held):
                return self._one_by_one(source, decoded.places, dead)
            decoded = _without(decoded, held)
        try:
            staged = self._program.run(decoded)
        except OperatorFailed:
            self._state.drop_batch()
            return self._one_by_one(source, sorted([*decoded.places, *held]), dead)
        except Exception as err:
            self._state.drop_batch()
            err.add_note(_span(source))
            raise
        began_s = self.spent.now_s()
        staged.state_bytes = self._state.accept_batch()
        if staged.state_bytes:
            self.spent.add("state", began_s)
        for place in held:
            if self.parked.join(source, place) is not None:
                raise RuntimeError("a record of a parked key was left behind; please report this")
        staged.parked = len(held)
        staged.dead = dead
        staged.records += len(dead)
        self._judge.passed(source)
        return staged

    def retry(self, attempts: Attempts | None = None) -> tuple[SourceBatch, Staged] | None:
        """Try a parked record that is due; what it came to, in a batch of its own. None = none is due.

        Args:
            attempts: told before it is touched; knows those that kill the process.

        Raises:
            RecordFailed: its policy is to stop.
        """
        try:
            tried = self.parked.retry(attempts)
        except Exception:
            self._state.drop_batch()
            raise
        if tried is None:
            return None
        batch, staged, stopped = tried
        if stopped is not None:
            raise RecordFailed(batch, stopped.dead, staged, advice=stopped.advice or _MEND_THE_CODE)
        return batch, staged

    def set_aside(self, source: SourceBatch, verdict: Verdict) -> Staged:
        """What becomes of one record, alone in its batch, whose outputs a topic refuses, or that kills the process.

        The policy decides: that of the step that writes, or that of the source.

        Nothing runs for it, so it leaves nothing behind in the state.

        Raises:
            RecordFailed: the policy is to stop, or its dead letter is refused as well, in every form.
        """
        if verdict.last_refusal is not None:
            raise RecordFailed(source, last_refusal(verdict.last_refusal), Staged(), advice=MEND_THE_TOPIC)
        if verdict.deaths:
            return self._killer(source, verdict.deaths)
        if verdict.refused is None:
            raise RuntimeError("set aside without a refusal; please report this")
        dead, advice = self._refusal(verdict.refused)
        if advice is not None:
            raise RecordFailed(source, dead, Staged(), advice=advice)
        return Staged(dead=[dead], records=1)

    def _refusal(self, refused: RefusedRecord) -> Judged:
        writers = self._program.writers_of(refused.topic)
        error = UnencodableValue(f"topic '{refused.topic}' refuses what it came to: {refused.reason}", reason="refused")
        if not writers:
            return DeadRecord(0, "state", "", error), MEND_THE_TOPIC
        dead = DeadRecord(0, "sink", writers[0].name, error)
        if any(last_resort(self._program.group.policy(node)) == "fail" for node in writers):
            return dead, f"{MEND_THE_TOPIC}; or {_MEND_THE_CODE}"
        return dead, None

    def _killer(self, source: SourceBatch, deaths: int) -> Staged:
        dead = killer(deaths)
        if self._judge.resort("", source.topic) == "fail":
            raise RecordFailed(source, dead, Staged())
        return Staged(dead=[dead], records=1)

    def _one_by_one(self, source: SourceBatch, places: list[int], undecodable: list[DeadRecord]) -> Staged:
        """What stands at these places, each a batch of its own: step 3.

        They are decoded anew: a handler may have changed the values of the first attempt.
        """
        whole = Staged()
        dead = {record.place: record for record in undecodable}
        time, savepoint = self.time, self._state.savepoint()
        try:
            stopped = self._each(source, places, whole, dead)
        except Exception as err:
            self._state.roll_back(savepoint)
            self.time = time
            err.add_note(_span(source))
            raise
        stop = len(source) if stopped is None else stopped[0].place
        whole.dead = [dead[place] for place in sorted(dead) if place < stop]
        whole.records += len(whole.dead)
        if stopped is None:
            self._judge.passed(source)
            return whole
        failed, wait = stopped
        if wait is not None:
            raise RecordWaits(source, failed, whole, wait) from failed.error
        raise RecordFailed(source, failed, whole) from failed.error

    def _each(
        self, source: SourceBatch, places: list[int], whole: Staged, dead: dict[int, DeadRecord]
    ) -> tuple[DeadRecord, Wait | None] | None:
        """Run the records until one has to stop the task, or is to be waited for; that one, and how long."""
        for place in places:
            if self.parked.held(source, [place]):
                no_room = self.parked.join(source, place)
                if no_room is not None:
                    return no_room, self.parked.full()
                whole.parked += 1
                continue
            failed = self._alone(source, place, whole)
            if failed is None:
                continue
            sentence, failed = self._judge.judge(source, failed, can_park=self.parked.can_park(source, place))
            if isinstance(sentence, Park):
                self.parked.park(source, failed, sentence.seconds)
                whole.parked += 1
                whole.put_off.append(failed)
            elif sentence == "set aside":
                dead[place] = failed
            else:
                return failed, None if sentence == "stop" else sentence
        return None

    def _alone(self, source: SourceBatch, place: int, whole: Staged) -> DeadRecord | None:
        """Run one record and add what it came to; or say how it failed."""
        decoded = self._program.decode(source.slice(place, place + 1))
        if decoded.failures:  # a registry that changed its mind since the first attempt
            return DeadRecord(place, "decode", "", decoded.failures[0])
        try:
            one = self._program.run(decoded)
        except OperatorFailed as failed:
            self._state.drop_batch()
            return DeadRecord(place, failed.stage, failed.node.name, failed.error)
        one.state_bytes = self._state.accept_batch()
        _add(whole, one)
        return None

    def _policy(self, operator: str, topic: str) -> Policy:
        node = self._program.node(operator) if operator else self._program.source_of(topic)
        return self._program.group.policy(node)


def _without(decoded: Decoded, held: list[int]) -> Decoded:
    batch, out = decoded.batch, set(held)
    return replace(decoded, batch=batch.take([index for index, row in enumerate(batch.rows) if row not in out]))


def _add(whole: Staged, one: Staged) -> None:
    whole.records += one.records
    whole.filtered += one.filtered
    whole.late += one.late
    whole.event_times_ms += one.event_times_ms
    whole.state_bytes += one.state_bytes
    if one.event_time_ms is not None:
        whole.event_time_ms = one.event_time_ms
    there = {output.topic: output for output in whole.outputs}
    for output in one.outputs:
        if output.topic not in there:
            # Outputs of one batch may share columns: what grows needs lists of its own.
            there[output.topic] = OutputBatch(output.topic, [], [], [])
            whole.outputs.append(there[output.topic])
        there[output.topic].extend(output)


def _span(source: SourceBatch) -> str:
    return f"in {source.topic}[{source.partition}] between offsets {source.offsets[0]} and {source.offsets[-1]}"
