"""The batch as savepoint: it is tried as a whole, and one record at a time if anything in it fails.

1. What cannot be decoded is set aside at once.
2. The rest runs on the batch overlay. It succeeds: the overlay is accepted.
3. It fails: the overlay is dropped, and the records run one at a time through the same code. The one that fails alone
   is at fault; its policy decides. Its neighbours are processed as if it had not been there.
4. What is no record's fault (a registry that is away, a setting) undoes the whole batch and goes up.

There is no undo log: on the good path a savepoint costs nothing.
"""

from __future__ import annotations

from penstock.batch import SourceBatch
from penstock.deadletter.envelope import message_of
from penstock.errors import OperatorMustDecide, UnencodableValue
from penstock.runtime.program import Program
from penstock.runtime.route import OperatorFailed
from penstock.runtime.staged import DeadRecord, OutputBatch, Staged
from penstock.runtime.stream_time import StreamTime
from penstock.runtime.verdict import Verdict
from penstock.state.task_state import TaskState

_MEND_THE_CODE = "mend the code and deploy it, or set on_error='dead_letter' there to set such records aside"


class RecordFailed(OperatorMustDecide):
    """A record failed, and its policy is to stop the task there.

    Attributes:
        source: the batch that it came in.
        topic: where the record was read.
        partition: likewise.
        offset: likewise.
        place: its place in the source batch; everything before it is accepted.
        operator: the operator that failed; empty where the record could not be decoded.
        stage: where on its way.
        error: what was raised. Its text may hold payload: tell it by `message_of`.
        staged: what the records before it came to.
    """

    def __init__(self, source: SourceBatch, dead: DeadRecord, staged: Staged, *, advice: str = _MEND_THE_CODE) -> None:
        self.source = source
        self.topic, self.partition, self.offset = source.topic, source.partition, source.offsets[dead.place]
        self.place, self.operator, self.stage, self.error = dead.place, dead.operator, dead.stage, dead.error
        self.staged = staged
        where = f"{self.topic}[{self.partition}]@{self.offset}"
        told = message_of(dead.error).removeprefix(f"{where}: ")
        at = f"'{dead.operator}' (stage {dead.stage})" if dead.operator else f"stage {dead.stage}"
        super().__init__(f"{where} failed at {at}: {told}. The task stops in front of it and nothing is lost: {advice}")


class SavepointLogic:
    """A program and its state: what a task does with its batches.

    Args:
        program: open.
        state: the one that the program works on.
    """

    def __init__(self, program: Program, state: TaskState) -> None:
        self._program = program
        self._state = state

    @property
    def time(self) -> StreamTime:
        """How far in event time the task is."""
        return self._program.time

    @time.setter
    def time(self, time: StreamTime) -> None:
        self._program.time = time

    def close(self) -> None:
        """Close the processors."""
        self._program.close()

    def run_batch(self, source: SourceBatch) -> Staged:
        """Run a batch and accept it. Changes nothing if it raises anything but `RecordFailed`.

        Raises:
            RecordFailed: a record failed and its policy is to stop. The records before it are accepted.
            PenstockError: no record's fault; `Retriable` = the same call again.
        """
        decoded = self._program.decode(source)
        dead = [DeadRecord(place, "decode", "", decoded.failures[place]) for place in sorted(decoded.failures)]
        if dead and self._stops("", source.topic):
            before = self.run_batch(source.slice(0, dead[0].place))
            raise RecordFailed(source, dead[0], before) from dead[0].error
        try:
            staged = self._program.run(decoded)
        except OperatorFailed:
            self._state.drop_batch()
            return self._one_by_one(source, sorted([*decoded.batch.rows, *decoded.marks]), dead)
        except Exception as err:
            self._state.drop_batch()
            err.add_note(_span(source))
            raise
        staged.state_bytes = self._state.accept_batch()
        staged.dead = dead
        staged.records += len(dead)
        return staged

    def set_aside(self, source: SourceBatch, verdict: Verdict) -> Staged:
        """What becomes of one record, alone in its batch, whose outputs a topic refuses: the policy of that step.

        Nothing runs for it, so it leaves nothing behind in the state.

        Raises:
            RecordFailed: the policy is to stop, or its dead letter is refused as well, in every form.
        """
        refused, advice = verdict.refused, "mend that topic's settings, then start again"
        if verdict.last_refusal is not None:
            letter = verdict.last_refusal
            error = UnencodableValue(
                f"topic '{letter.topic}' refuses its dead letter in every form: {letter.reason}", reason="refused"
            )
            raise RecordFailed(source, DeadRecord(0, "sink", "", error), Staged(), advice=advice)
        if refused is None:
            raise RuntimeError("set aside without a refusal; please report this")
        writers = self._program.writers_of(refused.topic)
        error = UnencodableValue(f"topic '{refused.topic}' refuses what it came to: {refused.reason}", reason="refused")
        dead = DeadRecord(0, "sink" if writers else "state", writers[0].name if writers else "", error)
        if not writers:
            raise RecordFailed(source, dead, Staged(), advice=advice)
        if any(self._program.group.policy(node) == "fail" for node in writers):
            raise RecordFailed(source, dead, Staged(), advice=f"{advice}; or {_MEND_THE_CODE}")
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
        stop = len(source) if stopped is None else stopped.place
        whole.dead = [dead[place] for place in sorted(dead) if place < stop]
        whole.records += len(whole.dead)
        if stopped is not None:
            raise RecordFailed(source, stopped, whole) from stopped.error
        return whole

    def _each(
        self, source: SourceBatch, places: list[int], whole: Staged, dead: dict[int, DeadRecord]
    ) -> DeadRecord | None:
        """Run the records until one has to stop the task; that one."""
        for place in places:
            failed = self._alone(source, place, whole)
            if failed is not None and self._stops(failed.operator, source.topic):
                return failed
            if failed is not None:
                dead[place] = failed
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

    def _stops(self, operator: str, topic: str) -> bool:
        node = self._program.node(operator) if operator else self._program.source_of(topic)
        return self._program.group.policy(node) == "fail"


def _add(whole: Staged, one: Staged) -> None:
    whole.records += one.records
    whole.filtered += one.filtered
    whole.state_bytes += one.state_bytes
    if one.records:
        whole.event_time_ms = one.event_time_ms
    there = {output.topic: output for output in whole.outputs}
    for output in one.outputs:
        if output.topic not in there:
            # Outputs of one batch may share columns: what grows needs lists of its own.
            there[output.topic] = OutputBatch(output.topic, [], [], [])
            whole.outputs.append(there[output.topic])
        _extend(there[output.topic], output)


def _extend(output: OutputBatch, more: OutputBatch) -> None:
    """Append; the optional columns stay aligned."""
    count, added = len(output.keys), len(more.keys)
    if output.headers is not None or more.headers is not None:
        output.headers = [*(output.headers or [()] * count), *(more.headers or [()] * added)]
    if output.partitions is not None or more.partitions is not None:
        output.partitions = [*(output.partitions or [-1] * count), *(more.partitions or [-1] * added)]
    output.keys += more.keys
    output.values += more.values
    output.timestamps_ms += more.timestamps_ms


def _span(source: SourceBatch) -> str:
    return f"in {source.topic}[{source.partition}] between offsets {source.offsets[0]} and {source.offsets[-1]}"
