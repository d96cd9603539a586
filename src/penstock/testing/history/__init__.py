"""Was it exactly once? A history of logs is compared with a model of what should have come of the inputs.

    history = History.read(cluster.log_directory(1), group=model.group, topics=model.topics)
    assert_exactly_once(history, model)

In: a `History` (`log.py`), read from a broker's files or made by a simulated cluster, and a `Model` (`model.py`). Out:
verdicts, each with the least that shows it (`verdict.py`). Nothing here uses the engine's code, so that the engine's
mistakes are not the checker's. Read `judgement.py` first, which names the rules.
"""

from penstock.testing.history.judgement import RULES, assert_exactly_once, behind, check, judged
from penstock.testing.history.log import NOBODY, Data, History, Log, Marker, OffsetCommit, Place, Writer
from penstock.testing.history.model import DeadLetter, Effect, Input, Model, Output, Stage, State
from penstock.testing.history.verdict import Kind, Verdict, Witness

__all__ = [
    "NOBODY",
    "RULES",
    "Data",
    "DeadLetter",
    "Effect",
    "History",
    "Input",
    "Kind",
    "Log",
    "Marker",
    "Model",
    "OffsetCommit",
    "Output",
    "Place",
    "Stage",
    "State",
    "Verdict",
    "Witness",
    "Writer",
    "assert_exactly_once",
    "behind",
    "check",
    "judged",
]
