"""Dead letters of one cause, brought back: `dlq stats`, the cause mended, `dlq redrive`, which is killed on the way.

`flight-status` has come to the end of its flights by then, and those of one airline are dead letters, for the directory
does not know it. What the commands do is not believed here either: `judge_redrive` looks at what a bare reader found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from demo.broker_files import TopicFiles
from demo.directory import MISSING, Directory
from demo.expected import IDENTITY, Expected, Values
from demo.kill import AT_ONCE_S, kill_when
from demo.observed import Observed
from demo.pipelines import FLIGHT_STATUS
from demo.process import Cluster
from demo.project import Project

FLIGHTS: Final = "flights"
TOPIC: Final = f"dlq.{FLIGHT_STATUS.name}.{FLIGHTS}"
REASON: Final = "airline"
_RATE: Final = 50
"""Letters a second, so that there is something to kill; transactions have half as many."""
SHOWN: Final = 5


class Redrive(msgspec.Struct, kw_only=True):
    """The verdict on what was brought back.

    Attributes:
        letters: dead letters of that cause, as the files have it.
        redriven: records that a redrive wrote.
        lost: letters without such a record, or without the result that it comes to.
        duplicated: letters with several of either.
        wrong: records that are no such letter's, or are not where and what it was.
        kills: of the redrive with SIGKILL.
        uncommitted: records in the transactions that died with it.
        turned_away: questions to the directory while it was away.
        problems: the first few of them.
    """

    letters: int
    redriven: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    kills: int = 0
    uncommitted: int = 0
    turned_away: int = 0
    problems: list[str] = []

    def failures(self) -> Iterator[str]:
        """Why the verdict is FAIL; nothing when it is PASS."""
        if self.lost or self.duplicated or self.wrong or self.redriven != self.letters:
            yield "not every dead letter came back exactly once"
        if not self.letters:
            yield "there was no dead letter to bring back"
        if not self.kills:
            yield "the redrive was not killed"
        if not self.turned_away:
            yield "nobody asked the directory of airlines while it was away"


def bring_back(
    project: Project, cluster: Cluster, directory: Directory, kills: int, tell: Callable[[str], None]
) -> list[int]:
    """Look, mend, redrive; killed so many times on the way.

    Args:
        project: gives the commands.
        cluster: where.
        directory: what is to be mended.
        kills: of the redrive.
        tell: what happens.

    Returns:
        For each time that it was killed, how many records were in its open transaction.

    Raises:
        StartFailed: a command ended with an error.
    """
    tell(f"$ penstock dlq stats {TOPIC} -w reason={REASON}")
    for line in project.printed("dlq", "stats", (TOPIC, "-w", f"reason={REASON}")):
        tell(line)
    directory.mend()
    tell(f"the directory knows {MISSING} now; $ penstock dlq redrive {TOPIC} -w reason={REASON}")
    killed = [count for _ in range(kills) if (count := _killed(project, cluster, tell)) is not None]
    for line in project.printed("dlq", "redrive", (TOPIC, "-w", f"reason={REASON}")):
        tell(line)
    return killed


def _killed(project: Project, cluster: Cluster, tell: Callable[[str], None]) -> int | None:
    """Start it, and kill it as soon as it has committed something and begun anew; records in its open transaction.

    None = it was done before.
    """
    files = TopicFiles(cluster.log_directory, FLIGHTS)
    files.look()
    before = files.committed

    def is_inside() -> bool:
        files.look()
        return files.committed > before and bool(files.open_producers)

    process = project.start("dlq", "redrive", (TOPIC, "-w", f"reason={REASON}", "--rate", str(_RATE)))
    if kill_when(process, is_inside, look_every_s=AT_ONCE_S) is None:
        return None
    files.look()
    tell(f"killed, with {files.committed - before:,} redriven; the same command again")
    return files.open_records


def judge_redrive(
    flights: Expected, status: Expected, observed: dict[str, Observed], *, kills: list[int], turned_away: int
) -> Redrive:
    """What became of the letters of that cause.

    Args:
        flights: all that there are.
        status: what has to become of them; says which were dead letters that came back.
        observed: what stands in the topics.
        kills: of the redrive: the records in its open transaction, each time.
        turned_away: questions to the directory while it was away.
    """
    letters = {identity: record for identity, record in flights.records.items() if record.place in status.brought_back}
    result = Redrive(
        letters=len(letters), kills=len(kills), uncommitted=sum(kills), turned_away=turned_away, problems=[]
    )
    found, result.problems = _records(flights, letters, observed[FLIGHTS])
    result.redriven, result.wrong = len(observed[FLIGHTS].redriven), len(result.problems)
    came_to = Counter(_identities(status, observed[FLIGHT_STATUS.outputs[0]]))
    for identity in letters:
        told = " ".join(map(str, identity))
        if not (found[identity] and came_to[identity]):
            result.lost += 1
            result.problems.append(f"{told}: {found[identity]} times redriven, with {came_to[identity]} results")
        elif found[identity] > 1 or came_to[identity] > 1:
            result.duplicated += 1
            result.problems.append(f"{told}: {found[identity]} times redriven, with {came_to[identity]} results")
    del result.problems[SHOWN:]
    return result


def _records(
    flights: Expected, letters: Mapping[Values, object], observed: Observed
) -> tuple[Counter[Values], list[str]]:
    """How often each letter was redriven, and what is off with the records."""
    identity_of = [flights.fields.index(field) for field in IDENTITY[FLIGHTS]]
    partitions = {record.key: record.partition for record in observed.records}
    found: Counter[Values] = Counter()
    problems: list[str] = []
    for record in observed.redriven:
        where = f"{FLIGHTS}[{record.partition}]@{record.offset}"
        identity = () if record.values is None else tuple([record.values[at] for at in identity_of])
        due = flights.records.get(identity)
        if due is None or identity not in letters:
            problems.append(f"{where}: redriven, and no dead letter of that cause")
            continue
        found[identity] += 1
        if (record.values, record.key) != (due.values, due.key):
            problems.append(f"{where}: redriven with another key or content")
        elif partitions.get(record.key) != record.partition:
            problems.append(f"{where}: redriven to another partition than its key's")
    return found, problems


def _identities(expected: Expected, observed: Observed) -> Iterator[Values]:
    """Of the records of an output topic."""
    places = [expected.fields.index(field) for field in IDENTITY[FLIGHTS]]
    for record in observed.records:
        if record.values is not None:
            yield tuple([record.values[at] for at in places])
