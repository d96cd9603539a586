"""Run in a process of its own, since the collector is one per process."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, weakref
from penstock.cli.garbage import settle

class Knot:
    pass

was_there = Knot()
settle()
assert gc.get_freeze_count() > 0
knots = []
for _ in range(100_000):
    knot = Knot()
    knot.itself = knot
    knots.append(weakref.ref(knot))
print(sum(each() is not None for each in knots))
"""


def test_what_holds_itself_is_still_collected() -> None:
    """Of 100,000 objects that only a collector can free, a young generation's worth is left."""
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 50_000
