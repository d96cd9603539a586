"""The page "Change a pipeline" shows what `penstock plan` says, and its code does what it promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from penstock.dsl.pipeline import Pipeline
from penstock.schemas.topic import Topic
from penstock.state.spec import StoreSpec
from penstock.state.value_codec import ValueCodec
from penstock.topology.deployment import Deployment, deployment_of
from penstock.topology.plan import plan_of

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "change-a-pipeline.md").read_text()
READINGS = Topic("readings", key=str, value=str)
HIGHEST = Topic("highest", key=str, value=str, partitions=2)


def highest(store: str, show: str) -> Deployment:
    pipeline = Pipeline("highest")
    parsed = pipeline.stream(READINGS).map(int, name="parse")
    parsed.aggregate(int, max, name=store).to_stream().map(str, name=show).to(HIGHEST)
    return deployment_of(pipeline.topology(), {})


def test_the_plan_that_it_shows_is_what_is_said() -> None:
    before, after = highest("highest-so-far", "show"), highest("highest", "render")
    (shown,) = re.findall(r"^\$ penstock plan highest\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown.endswith(f"\n\n{plan_of(before, after)}\n")
    assert shown.splitlines()[0] == "pipeline highest"


class Balance(msgspec.Struct, frozen=True):
    cents: int
    currency: str


class OlderBalance(msgspec.Struct, frozen=True):
    cents: int


def test_its_upgrade_makes_a_value_of_now_out_of_an_older_one() -> None:
    (code,) = re.findall(r"^```python\n(def upgraded.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"Balance": Balance, "ps": __import__("penstock")}
    exec(compile(code, "change-a-pipeline.md", "exec"), names)  # noqa: S102 - the page's own code
    spec: StoreSpec[str, Balance] = names["BALANCES"]
    older = ValueCodec("balances", OlderBalance, 1).encode(OlderBalance(cents=7))
    assert spec.value_codec().decode(older) == Balance(cents=7, currency="USD")
