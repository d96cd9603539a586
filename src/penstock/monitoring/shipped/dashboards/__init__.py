"""The six dashboards, from "are users hurt?" down to the process; `DASHBOARDS` has them all."""

from __future__ import annotations

from typing import Final

from penstock.monitoring.shipped.dashboards.dead_letters import DEAD_LETTERS
from penstock.monitoring.shipped.dashboards.exactly_once import EXACTLY_ONCE
from penstock.monitoring.shipped.dashboards.groups import GROUPS
from penstock.monitoring.shipped.dashboards.overview import OVERVIEW
from penstock.monitoring.shipped.dashboards.processes import PROCESSES
from penstock.monitoring.shipped.dashboards.state import STATE

DASHBOARDS: Final = (OVERVIEW, GROUPS, EXACTLY_ONCE, STATE, DEAD_LETTERS, PROCESSES)
