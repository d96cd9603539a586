"""The tutorial, step by step, as it stands in the documentation."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.broker

Penstock = Callable[..., subprocess.CompletedProcess[str]]

PAGE = Path(__file__).parents[3] / "docs" / "tutorial" / "first-producer.md"
NOT_RUN_HERE = ("penstock kafka", "echo")


def test_the_first_tutorial_does_what_it_says(
    penstock: Penstock, penstock_process: Penstock, tmp_path: Path, topic_prefix: str
) -> None:
    """The topics get names of their own, and the servers are up already; all else is taken from the page."""
    page = PAGE.read_text().replace('ps.Topic("levels"', f'ps.Topic("{topic_prefix}"')
    page = page.replace('@ps.producer("levels"', f'@ps.producer("{topic_prefix}"')
    for name, content in re.findall(r"^`([^`\n]+\.\w+)`\n\n```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def values(topic: str) -> list[Any]:
        done = penstock("peek", topic, "--json", "--limit", "100")
        return [json.loads(line)["value"] for line in done.stdout.splitlines()]

    steps = [line[2:] for line in page.splitlines() if line.startswith("$ ")]
    commands = [step.split()[1:] for step in steps if not step.startswith(NOT_RUN_HERE)]
    assert [command[0] for command in commands] == [
        "schemas", "schemas", "produce", "peek", "peek", "produce", "produce", "topics"
    ]  # fmt: skip
    published: list[int] = []
    for command in commands:
        if len(published) == 2 and command[0] == "produce":
            (append,) = [step for step in steps if step.startswith("echo")]
            with (tmp_path / "levels.csv").open("a") as file:
                file.write(append.split('"')[1] + "\n")
        named = [re.sub(r"^(dlq\.)?levels$", rf"\g<1>{topic_prefix}", word) for word in command]
        # What imports the project's modules needs a process of its own.
        done = penstock_process(*named) if command[0] in {"schemas", "produce"} else penstock(*named)
        assert done.returncode == 0, done.stdout + done.stderr
        if command[0] == "produce":
            published.append(len(values(topic_prefix)))
    assert published == [3, 3, 4]
    assert values(f"dlq.{topic_prefix}") == [
        {"river": "inn", "measured_at": "2026-01-31T07:00:00+00:00", "level_cm": "broken"}
    ]
