"""Whatever happens to whichever call: every letter once, and the ledger says of each what is so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from penstock.errors import DuplicateIdentity, OperatorMustDecide, ServerUnreachable
from penstock.redrive.ledger import Action, Run, resumed_at
from penstock.redrive.original import RawRecord
from tests.unit.publishing.in_memory import Crash, Fault, Log, ManualClock, Seen, Written
from tests.unit.redrive.letters import dead_letter
from tests.unit.redrive.redriving import TOPIC, Redriving

LETTERS = 23
FAULTS = st.dictionaries(st.integers(0, 120), st.sampled_from(Fault), max_size=12)
SOME = st.sets(st.integers(0, LETTERS - 1), max_size=6)


def run_to_the_end(redriving: Redriving, *, action: Action = "redrive", where: Sequence[str] = ()) -> list[Run]:
    """Give the command again whenever it dies, as a person does; the accounts of those that came to an end."""
    for _ in range(40):
        try:
            return [redriving.process(action=action, where=where).run()]
        except (Crash, DuplicateIdentity):
            continue
    raise AssertionError("it does not come to an end")


def check_every_prefix(redriving: Redriving) -> None:
    """After each transaction, what is written and what the ledger has are the same letters."""
    transactions = redriving.log.transactions
    for count in range(len(transactions) + 1):
        so_far = Log(transactions=transactions[:count])
        written = sorted(int(value or b"-1") for value in so_far.values("in"))
        ledger = redriving.ledger(so_far)
        marked = [n for n in range(LETTERS) if ledger.fate(n % 2, n) == "redriven"]
        assert marked == written
        assert sum(run.letters for run in ledger.runs.values()) == len(written)
        assert sum(sum(run.targets.values()) for run in ledger.runs.values()) == len(written)


@settings(max_examples=250, deadline=None)
@given(faults=FAULTS, refused=SOME, partial=SOME)
@example(faults={23: Fault.TIMED_OUT}, refused={0}, partial={2})  # held back later than what stands behind it
def test_every_letter_is_redriven_once_and_in_order(
    faults: dict[int, Fault], refused: set[int], partial: set[int]
) -> None:
    def refuses(written: Written) -> str | None:
        return "planted" if written.topic == "in" and int(written.value or b"-1") in refused else None

    letters = [dead_letter(n, n % 2, is_whole=n not in partial) for n in range(LETTERS)]
    redriving = Redriving(letters=letters, log=Log(faults=faults, refuses=refuses))
    (last,) = run_to_the_end(redriving)
    good = [n for n in range(LETTERS) if n not in refused | partial]
    for partition in (0, 1):
        of_it = [n for n in redriving.redriven if n % 2 == partition]
        assert of_it == [n for n in good if n % 2 == partition]
    check_every_prefix(redriving)
    assert last.held == {
        why: count for why, count in (("partial", len(partial)), ("refused", len(refused - partial))) if count
    }


@settings(max_examples=100, deadline=None)
@given(faults=FAULTS, first=st.integers(0, LETTERS), last=st.integers(0, LETTERS))
def test_selections_that_overlap_redrive_nothing_twice(faults: dict[int, Fault], first: int, last: int) -> None:
    redriving = Redriving(log=Log(faults=faults))
    run_to_the_end(redriving, where=[f"offset=0..{first}"])
    run_to_the_end(redriving, where=[f"offset={last}..99"])
    run_to_the_end(redriving)
    assert sorted(redriving.redriven) == list(range(LETTERS))
    check_every_prefix(redriving)


CALLS_OF_A_RUN = 70


@pytest.mark.parametrize("fault", Fault)
def test_one_fault_at_each_call_in_turn_changes_nothing(fault: Fault) -> None:
    for call in range(CALLS_OF_A_RUN):
        redriving = Redriving(log=Log(faults={call: fault}))
        run_to_the_end(redriving)
        assert sorted(redriving.redriven) == list(range(LETTERS)), call
        check_every_prefix(redriving)


def test_the_calls_of_a_run_are_all_tried() -> None:
    redriving = Redriving()
    run_to_the_end(redriving)
    assert 20 < redriving.log.calls < CALLS_OF_A_RUN


def test_what_was_dropped_is_not_redriven_until_it_is_reopened() -> None:
    redriving = Redriving()
    dropped = redriving.process(action="drop", where=["offset=3..5"], run_id="d").run()
    assert (dropped.letters, dropped.targets, dropped.is_finished) == (3, {}, True)
    run_to_the_end(redriving)
    assert sorted(redriving.redriven) == [n for n in range(LETTERS) if n not in (3, 4, 5)]
    assert redriving.process(action="reopen", where=["offset=4..6"], run_id="o").run().letters == 3
    redriving.process(run_id="again").run()
    assert sorted(redriving.redriven) == sorted([*(n for n in range(LETTERS) if n != 3), 6])
    ledger = redriving.ledger()
    assert [ledger.fate(n % 2, n) for n in (3, 4, 5, 6)] == ["dropped", "redriven", "redriven", "redriven"]
    assert list(ledger.runs) == ["d", "r1", "o", "again"]


def test_a_second_run_finds_nothing_to_do_and_leaves_nothing_behind() -> None:
    redriving = Redriving()
    run_to_the_end(redriving)
    before = len(redriving.log.transactions)
    assert redriving.process(run_id="second").run().letters == 0
    assert len(redriving.log.transactions) == before


def test_a_limit_counts_what_is_redriven_and_a_rate_holds_it() -> None:
    redriving = Redriving()
    done = redriving.process().run(limit=7, rate=4)
    assert (done.letters, sorted(redriving.redriven), done.is_finished) == (7, list(range(7)), True)
    assert sum(redriving.clock.slept) == pytest.approx(7 / 4)


def test_stopping_commits_what_is_staged_and_says_that_it_is_not_the_end() -> None:
    redriving = Redriving()
    run = redriving.process(where=["offset=0..20"])
    redriving.clock.on_sleep = run.stop
    done = run.run(rate=10)
    assert not done.is_finished
    assert 0 < done.letters < 20
    assert redriving.ledger().runs["r0"] == done
    run_to_the_end(redriving)
    assert sorted(redriving.redriven) == list(range(LETTERS))


def stopped(redriving: Redriving, *, action: Action = "redrive", where: Sequence[str] = ()) -> Run:
    """A run that is stopped behind its first transaction; it has dealt with six letters then, three per partition."""
    run = redriving.process(action=action, where=where)
    redriving.clock.on_sleep = run.stop
    done = run.run(rate=10)
    redriving.clock.on_sleep = lambda: None
    assert not done.is_finished
    return done


def test_the_same_command_begins_where_the_one_before_was_stopped() -> None:
    """What stands in front of that is not read again: a topic may hold millions."""
    redriving = Redriving()
    assert stopped(redriving).letters == 6
    run_to_the_end(redriving)
    assert redriving.starts == [{}, {0: 5, 1: 6}]
    assert sorted(redriving.redriven) == list(range(LETTERS))


def test_another_command_and_one_behind_a_run_that_came_to_its_end_read_all() -> None:
    redriving = Redriving()
    stopped(redriving, where=["offset=0..99"])
    run_to_the_end(redriving)
    run_to_the_end(redriving)
    run_to_the_end(redriving, action="drop", where=["offset=0..99"])
    assert redriving.starts == [{}] * 4
    assert sorted(redriving.redriven) == list(range(LETTERS))


def test_what_was_reopened_in_front_of_that_place_is_redriven() -> None:
    redriving = Redriving()
    stopped(redriving)
    assert redriving.process(action="reopen", where=["offset=1..2"]).run().letters == 2
    stopped(redriving)
    run_to_the_end(redriving)
    assert redriving.starts == [{}, {}, {}, {0: 9, 1: 8}]
    assert sorted(redriving.redriven) == sorted([*range(LETTERS), 1, 2])


def test_what_was_held_back_is_looked_at_again_by_the_same_command() -> None:
    """Its cause may have been mended meanwhile."""
    redriving = Redriving()
    redriving.letters[2] = dead_letter(2, 0, is_whole=False)
    stopped(redriving)
    redriving.letters[2] = dead_letter(2, 0)
    run_to_the_end(redriving)
    assert redriving.starts[1][0] == 2
    assert sorted(redriving.redriven) == list(range(LETTERS))


def test_a_topic_that_was_made_anew_is_read_from_its_beginning() -> None:
    runs = [Run(id="r", action="redrive", topic=TOPIC, topic_id="old", next_offsets={0: 5})]
    account = Run(id="s", action="redrive", topic=TOPIC, topic_id="new")
    assert resumed_at(account, runs) == {}
    assert resumed_at(structs.replace(account, topic_id="old"), runs) == {0: 5}


def test_an_edit_function_that_takes_its_time_makes_small_transactions() -> None:
    """One of several letters would grow older than a transaction may be, again and again."""
    redriving = Redriving()

    def edit(record: RawRecord) -> RawRecord:
        redriving.clock.now_s += 30
        return record

    redriving.edit = edit
    run_to_the_end(redriving)
    assert sorted(redriving.redriven) == list(range(LETTERS))


def test_what_a_topic_refuses_is_looked_for_without_a_pause() -> None:
    """Nothing has to pass by itself there: the next try is another one."""
    redriving = Redriving(log=Log(refuses=lambda w: "planted" if (w.topic, w.value) == ("in", b"5") else None))
    assert redriving.process().run().held == {"refused": 1}
    assert redriving.clock.slept == []


def test_a_transaction_is_not_left_open_behind_an_edit_that_fails() -> None:
    """Readers behind it would wait for its time-out."""

    def edit(record: RawRecord) -> RawRecord:
        if record.value == b"12":
            raise ValueError
        return record

    redriving, seen = Redriving(), Seen()
    redriving.process(where=["offset=0..8"], run_id="first").run()
    redriving.edit = edit
    with pytest.raises(OperatorMustDecide, match="the edit function failed"):
        redriving.process(seen, run_id="second").run()
    assert seen.steps.count("init") == 2, "initialising again is what ends it"
    redriving.edit = None
    run_to_the_end(redriving)
    assert sorted(redriving.redriven) == list(range(LETTERS))


def test_a_commit_of_unknown_outcome_counts_once() -> None:
    """What was held back before it too, and the hooks are told of it."""
    for fault in (Fault.UNKNOWN_DONE, Fault.UNKNOWN_PENDING, Fault.UNKNOWN_LOST):
        letters = [dead_letter(n, n % 2, is_whole=n % 3 > 0) for n in range(LETTERS)]
        redriving, seen = Redriving(letters=letters, log=Log(planted={("commit", 2): fault})), Seen()
        done = redriving.process(seen).run()
        assert done.held == {"partial": 8}
        assert done.letters == sum(records for records, _ in seen.commits) == 15
        assert len(seen.aborts) == 1


def test_a_ledger_that_lost_what_was_committed_stops_it() -> None:
    redriving = Redriving(log=Log(planted={("flush", 2): Fault.ABORTED}))
    redriving.clock.on_sleep = redriving.log.transactions.clear
    with pytest.raises(OperatorMustDecide, match="lost acknowledged records"):
        redriving.process().run()


def test_of_two_processes_the_older_stops_and_nothing_is_doubled() -> None:
    redriving = Redriving()
    older, newer = redriving.process(run_id="older"), redriving.process(run_id="newer")

    def overtake() -> None:
        redriving.clock.on_sleep = lambda: None
        newer.run()

    redriving.clock.on_sleep = overtake
    with pytest.raises(DuplicateIdentity, match="another process works on the dead letters"):
        older.run(rate=8)
    assert sorted(redriving.redriven) == list(range(LETTERS))
    check_every_prefix(redriving)


def test_a_doubtful_producer_that_was_overtaken_reads_the_ledger_before_it_writes() -> None:
    """Replacing it fences the newer one; what that one had redriven must be passed over."""
    redriving = Redriving(log=Log(planted={("commit", 1): Fault.DOUBT}))
    older, newer = redriving.process(run_id="older"), redriving.process(run_id="newer")

    def overtake() -> None:
        redriving.clock.on_sleep = lambda: None
        redriving.log.stale_commit_of = None  # what takes over ends it
        newer.run(limit=9)

    redriving.clock.on_sleep = overtake
    older.run(rate=8)
    assert sorted(redriving.redriven) == list(range(LETTERS))
    check_every_prefix(redriving)


def test_trouble_without_end_is_given_up() -> None:
    log = Log(planted={("flush", n): Fault.ABORTED for n in range(2, 10_000)})
    with pytest.raises(ServerUnreachable, match="no letter committed for"):
        Redriving(log=log, clock=ManualClock(tick_s=0.01)).process().run()


def test_a_ledger_that_refuses_is_for_a_person_to_mend() -> None:
    log = Log(refuses=lambda written: "too large" if written.topic == "p.redrives" else None)
    with pytest.raises(OperatorMustDecide, match=r"topic 'p\.redrives' refuses a record of ours: too large"):
        Redriving(log=log).process().run()
