"""What the rules share: the evidence, what matches, and the leftovers that wait for a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from penstock.testing.history.changelogs import final_state
from penstock.testing.history.evidence import Evidence, Seen
from penstock.testing.history.log import Writer
from penstock.testing.history.matching import Matching, match
from penstock.testing.history.model import Input
from penstock.testing.history.run import Expected, Task
from penstock.testing.history.verdict import Verdict


@dataclass(slots=True)
class Leftovers:
    """What no rule has named yet; a rule takes out what it names.

    Attributes:
        missing: expected and not visible, in the order of expectation.
        surplus: visible and not expected, in the order of the logs.
        torn: {task: inputs whose results were torn off}.
        torn_writers: of transactions of which a part should not have been committed.
        awaited: of the surplus, what has its offset on its way.
        judged: tasks that something was found about.
    """

    missing: list[Expected]
    surplus: list[Seen]
    torn: dict[Task, list[Input]] = field(default_factory=dict[Task, list[Input]])
    torn_writers: set[Writer] = field(default_factory=set[Writer])
    awaited: list[Seen] = field(default_factory=list[Seen])
    judged: set[Task] = field(default_factory=set[Task])

    def take_missing(self, knows: Callable[[Expected], bool]) -> list[Expected]:
        """Those that the rule knows; they are left to no other."""
        taken = self.excuse(knows)
        self.judged.update(each.task for each in taken)
        return taken

    def excuse(self, knows: Callable[[Expected], bool]) -> list[Expected]:
        """Likewise, where nothing is wrong."""
        taken = [each for each in self.missing if knows(each)]
        own = {id(each) for each in taken}
        self.missing = [each for each in self.missing if id(each) not in own]
        return taken

    def take_surplus(self, knows: Callable[[Seen], bool]) -> list[Seen]:
        """Likewise."""
        taken = [each for each in self.surplus if knows(each)]
        own = {id(each) for each in taken}
        self.surplus = [each for each in self.surplus if id(each) not in own]
        return taken


class Case:
    """A history and a model under judgement; everything is worked out when a rule first asks for it."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    @cached_property
    def matching(self) -> Matching:
        """What is visible beside what is expected."""
        return match(self.evidence)

    @cached_property
    def left(self) -> Leftovers:
        """What does not match; the rules of `leftovers.py` name it, in their order."""
        return Leftovers(list(self.matching.missing), list(self.matching.surplus))

    @cached_property
    def states_that_differ(self) -> list[Task]:
        """Tasks whose changelog adds up to another state than the model's."""
        evidence = self.evidence
        return [
            task
            for task in evidence.tasks
            if task.changelog is not None
            and evidence.is_settled(task)
            and final_state(evidence, task) != evidence.runs[task][1]
        ]


Rule = Callable[[Case], Iterator[Verdict]]
