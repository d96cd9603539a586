"""Writes what Prometheus and Grafana load: `python -m penstock.monitoring.shipped FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from penstock.monitoring.shipped.dashboards import DASHBOARDS
from penstock.monitoring.shipped.rules import rule_file
from penstock.monitoring.shipped.yaml import dump


def files() -> dict[str, str]:
    """{path below the folder: content}."""
    dashboards = {
        f"grafana/dashboards/{dashboard.uid}.json": json.dumps(dashboard.as_json(), indent=2) + "\n"
        for dashboard in DASHBOARDS
    }
    return {"prometheus/penstock.rules.yml": dump(rule_file()), **dashboards}


def main(folder: Path) -> None:
    """Write them."""
    for name, content in files().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
