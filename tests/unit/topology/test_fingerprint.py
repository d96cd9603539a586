"""Equal for equal graphs in every process; different for everything that decides about topics and state."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.schemas.serdes import int64, int_text, json
from penstock.schemas.topic import Topic
from penstock.topology.type_names import serde_name, type_name, type_shape
from tests.unit.topology import flights

ROOT = Path(__file__).parents[3]
IN = Topic("in", key=str, value=str)
OUT = Topic("out", key=str, value=int64)


class Total(msgspec.Struct):
    """A sum."""

    total: int = 0


class Wider(msgspec.Struct):
    total: float = 0


def described(doc: str) -> type[msgspec.Struct]:
    return msgspec.defstruct("Total", [("title", str), ("total", int, 0)], namespace={"__doc__": doc})


def fingerprint(build: Callable[[Pipeline], None], name: str = "p") -> str:
    pipeline = Pipeline(name)
    build(pipeline)
    return pipeline.topology().fingerprint


def test_it_is_the_same_in_another_process() -> None:
    """With another seed for hashes, so that no order of a set gets into it."""
    command = [sys.executable, "-m", "tests.unit.topology.flights"]
    found = {
        subprocess.run(
            command, cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {flights.build().topology().fingerprint}


BASE: Callable[[Pipeline], None] = lambda p: p.stream(IN).count(name="counts").to(OUT)  # noqa: E731 - one of a table


@pytest.mark.parametrize(
    "other",
    [
        lambda p: p.stream(IN).count(name="counts-by-key").to(OUT),
        lambda p: p.stream(IN, name="inputs").count(name="counts").to(OUT),
        lambda p: p.stream(IN, start="latest").count(name="counts").to(OUT),
        lambda p: p.stream(IN, timestamp=int).count(name="counts").to(OUT),
        lambda p: p.stream(Topic("other", key=str, value=str), name="in").count(name="counts").to(OUT),
        lambda p: p.stream(Topic("in", key=bytes, value=str)).count(name="counts").to(OUT),
        lambda p: p.stream(Topic("in", key=str, value=json(str))).count(name="counts").to(OUT),
        lambda p: p.stream(IN).count(name="counts").to(Topic("out", key=str, value=int_text)),
        lambda p: p.stream(IN).filter(bool).count(name="counts").to(OUT),
        lambda p: p.stream(IN).aggregate(int, max, name="counts").to(OUT),
        lambda p: p.stream(IN).aggregate(Total, max, name="counts").to(OUT),
        lambda p: p.stream(IN).aggregate(Wider, max, name="counts").to(OUT),
        lambda p: p.stream(IN).aggregate(Total, max, name="counts", version=2, upgrade=print).to(OUT),
    ],
)
def test_it_changes_with_what_decides_about_state(other: Callable[[Pipeline], None]) -> None:
    assert fingerprint(other) != fingerprint(BASE)


def test_it_changes_with_everything_about_a_repartition() -> None:
    repartitions: list[Callable[[Pipeline], None]] = [
        lambda p: p.stream(IN).key_by(str.upper, name="again").count(name="counts").to(OUT),
        lambda p: p.stream(IN).key_by(str.upper, name="other").count(name="counts").to(OUT),
        lambda p: p.stream(IN).key_by(str.upper, name="again", value=json(str)).count(name="counts").to(OUT),
        lambda p: p.stream(IN).repartition(name="again").count(name="counts").to(OUT),
        lambda p: p.stream(IN).repartition(4, name="again").count(name="counts").to(OUT),
    ]
    assert len({fingerprint(each) for each in [BASE, *repartitions]}) == 6


def test_all_of_these_differ_and_the_code_of_functions_does_not_count() -> None:
    assert fingerprint(BASE, "other") != fingerprint(BASE)
    one, other = (fingerprint(lambda p, n=n: p.stream(IN).map(lambda _: n).to(OUT)) for n in (1, 2))  # type: ignore[misc]
    assert one == other


def test_a_shape_is_what_is_stored_and_not_its_documentation() -> None:
    assert type_shape(described("one")) == type_shape(described("other"))
    assert type_shape(Total) != type_shape(Wider)
    assert type_shape(dict[str, Total]) != type_shape(dict[str, Wider])
    assert len({type_shape(each) for each in (int, str, tuple[str, int], Total, complex)}) == 5


def test_names_hold_no_addresses() -> None:
    class Own:
        """A serde that says nothing of itself."""

    assert type_name(tuple[Total, int]) == f"tuple[{Total.__module__}.Total, int]"
    assert type_name(str) == "str"
    assert serde_name(json(Total)) == "JSON of Total"
    assert serde_name(Own()).endswith("Own")
    assert "0x" not in serde_name(Own()) + type_name(Own())
