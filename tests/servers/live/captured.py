"""What every panel of every dashboard is answered, as files from which pictures can be drawn without any server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.servers.prometheus import Prometheus
from tests.servers.shipped_queries import without_variables

DASHBOARDS: Final = Path(__file__).parents[3] / "monitoring" / "grafana" / "dashboards"
_POINTS: Final = 240


def capture(prometheus: Prometheus, from_s: float, to_s: float, folder: Path) -> None:
    """Write `<dashboard>.json` for each: the dashboard, the range of time, and {panel: {query: answer}}."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(DASHBOARDS.glob("*.json")):
        dashboard: dict[str, Any] = json.loads(file.read_text())
        answers = {
            panel["id"]: {target["refId"]: _answer(prometheus, target, from_s, to_s) for target in panel["targets"]}
            for panel in dashboard["panels"]
            if panel["type"] != "row"
        }
        content = {"dashboard": dashboard, "from": from_s, "to": to_s, "answers": answers}
        (folder / file.name).write_text(json.dumps(content))


def _answer(prometheus: Prometheus, target: dict[str, Any], from_s: float, to_s: float) -> Any:
    query = without_variables(target["expr"])
    if target.get("instant"):
        return prometheus.ask("query", query=query, time=f"{to_s:.3f}")["result"]
    step_s = max(1.0, (to_s - from_s) / _POINTS)
    asked = {"start": f"{from_s:.3f}", "end": f"{to_s:.3f}", "step": f"{step_s:.3f}"}
    return prometheus.ask("query_range", query=query, **asked)["result"]
