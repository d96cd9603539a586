from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ConfigurationError, OperatorMustDecide, UnencodableValue
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.state.task_state import TaskState
from penstock.state.value_codec import ValueCodec
from penstock.state.value_types import facts_of

PAYLOAD = "4929-0000-1111"


class Colour(StrEnum):
    RED = "red"


class Inner(msgspec.Struct, frozen=True):
    amount: int | float
    names: tuple[str, ...] = ()


class Outer(msgspec.Struct, frozen=True):
    inner: Inner
    more: dict[str, Inner] | None = None
    colour: Colour = Colour.RED


class Loose(msgspec.Struct):
    amount: int


class HoldsLoose(msgspec.Struct, frozen=True):
    loose: Loose


class Chain(msgspec.Struct, frozen=True):
    rest: Chain | None = None


@dataclasses.dataclass(frozen=True)
class FrozenData:
    amount: int


@dataclasses.dataclass
class Data:
    amount: int


class Pair(NamedTuple):
    a: int
    b: str


def codec(declared: Any, version: int = 1, **more: Any) -> ValueCodec[Any]:
    return ValueCodec("sums", declared, version, **more)


@given(
    st.builds(
        Outer,
        st.builds(
            Inner,
            st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False),
            st.lists(st.text(st.characters(exclude_categories=["Cs"]))).map(tuple),
        ),
    )
)
def test_what_was_put_comes_back(value: Outer) -> None:
    sums = codec(Outer)
    data = sums.encode(value)
    assert data[0] == 1
    assert sums.decode(data) == value
    assert codec(Outer).decode(data) == value  # also for a process that did not put it


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (int, -(2**63)),
        (int, 2**64 - 1),
        (Decimal, Decimal("1.50")),
        (datetime, datetime(2013, 1, 1, 5, 15, tzinfo=UTC)),
        (timedelta, timedelta(seconds=-3)),
        (UUID, UUID(int=7)),
        (Pair, Pair(1, "x")),
        (FrozenData, FrozenData(1)),
        (dict[int, list[bytes]], {1: [b"a"]}),
        (Chain, Chain(Chain())),
    ],
)
def test_every_type_of_value_survives_a_restart(declared: Any, value: object) -> None:
    found = codec(declared).decode(codec(declared).encode(value))
    assert found == value
    assert type(found) is type(value)


def test_the_form_is_one_byte_and_a_map_by_field_name() -> None:
    data = codec(Inner, version=7, upgrade=lambda _, raw: raw).encode(Inner(3))
    assert data[0] == 7
    assert msgspec.msgpack.decode(data[1:]) == {"amount": 3, "names": []}


@pytest.mark.parametrize(
    ("declared", "value", "field"),
    [
        (Outer, Outer(Inner(2**64)), "inner.amount"),
        (Outer, Outer(Inner(-(2**63) - 1)), "inner.amount"),
        (Outer, Outer(Inner(1, (PAYLOAD, PAYLOAD + "\ud800"))), "inner.names[1]"),
        (Outer, Outer(Inner(1), {PAYLOAD: Inner(2**64)}), "more[...].amount"),
        (Outer, Outer(Inner(1), {PAYLOAD: PAYLOAD}), "more[...]"),  # type: ignore[dict-item]
        (Outer, Outer(PAYLOAD), "inner"),  # type: ignore[arg-type]
        (Outer, Outer(Inner(1), colour=PAYLOAD), "colour"),  # type: ignore[arg-type]
        (Any, {"a": [object()]}, "[...][0]"),
        (int, PAYLOAD, ""),
        (int, None, ""),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_fails_at_put_with_its_field_and_without_its_payload(
    declared: Any, value: object, field: str
) -> None:
    with pytest.raises(UnencodableValue, match="store 'sums'") as caught:
        codec(declared).encode(value)
    assert caught.value.field == field
    assert PAYLOAD not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(UnencodableValue, match="nested too deeply"):
        codec(Any).encode(endless)


def test_an_older_value_is_upgraded() -> None:
    old = codec(dict[str, int]).encode({"minutes": 5})
    seen: list[tuple[int, Any]] = []

    def upgrade(version: int, raw: Any) -> Inner:
        seen.append((version, raw))
        return Inner(raw["minutes"] * 60)

    new = codec(Inner, version=2, upgrade=upgrade)
    assert new.decode(old) == Inner(300)
    assert seen == [(1, {"minutes": 5})]
    assert new.decode(new.encode(Inner(1))) == Inner(1)


def test_what_upgrade_returns_can_be_changed_without_changing_the_next_read() -> None:
    shared = Loose(1)
    sums = codec(Loose, version=2, upgrade=lambda _version, _raw: shared)
    old = codec(int).encode(9)
    sums.decode(old).amount = 99
    assert sums.decode(old).amount == 1


def test_a_newer_value_is_refused() -> None:
    with pytest.raises(OperatorMustDecide, match="version 3, this code reads up to 2"):
        codec(int, version=2, upgrade=lambda _version, raw: raw).decode(b"\x03\x01")


def _looks_for_what_is_gone(_version: int, raw: Any) -> Inner:
    return Inner(raw["gone"])


def test_a_failing_upgrade_stops_instead_of_blaming_the_record() -> None:
    with pytest.raises(OperatorMustDecide, match="upgrade= failed for a value of version 1"):
        codec(Inner, version=2, upgrade=_looks_for_what_is_gone).decode(codec(int).encode(1))


def test_a_type_changed_without_a_new_version_stops_with_what_to_declare() -> None:
    data = codec(dict[str, str]).encode({"amount": PAYLOAD})
    with pytest.raises(OperatorMustDecide, match=r"at 'amount'.*next version= and an upgrade=") as caught:
        codec(Inner).decode(data)
    assert PAYLOAD not in str(caught.value)


def test_sets_are_written_in_the_same_order_by_every_process() -> None:
    script = (
        "from penstock.state.value_codec import ValueCodec as C;"
        "print(C('s', set[str], 1).encode({f'k{i}' for i in range(50)}).hex())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    "declared",
    [int, str | None, Colour, Decimal, datetime, tuple[int, str], tuple[Inner, ...], frozenset[str], Inner, Chain, Pair,
     FrozenData],
)  # fmt: skip
def test_types_that_nobody_can_change(declared: Any) -> None:
    assert facts_of(declared).is_immutable


@pytest.mark.parametrize(
    "declared",
    [list[int], dict[str, int], set[int], Loose, Data, HoldsLoose, Outer, tuple[list[int], ...], Any, object, bytearray,
     int | list[int]],
)  # fmt: skip
def test_types_that_somebody_could_change(declared: Any) -> None:
    assert not facts_of(declared).is_immutable


def test_a_type_that_has_no_hash_is_looked_at_like_any_other() -> None:
    noted = Annotated[list[int], {"unit": "cents"}]  # a dictionary in an annotation: no memo can have it for a key
    with pytest.raises(TypeError, match="unhashable"):
        hash(noted)
    assert not facts_of(noted).is_immutable
    assert facts_of(Annotated[tuple[int, ...], {"unit": "cents"}]).is_immutable


def test_what_is_known_of_one_type_is_not_told_of_another_that_looks_like_it() -> None:
    assert facts_of(tuple[int, ...]).is_immutable
    assert not facts_of(tuple[list[int], ...]).is_immutable
    assert facts_of(frozenset[int]) == (True, True)
    assert facts_of(set[int]) == (False, True)
    assert facts_of(int) == (True, False)


# ---------------------------------------------------------------- declarations


@pytest.mark.parametrize("name", ["", "A", "1a", "a_b", "a.b", "a" * 64, "a\n", "-a"])
def test_a_store_has_a_name_that_topics_can_carry(name: str) -> None:
    with pytest.raises(ConfigurationError, match="store name"):
        StoreSpec(name, key=str, value=int)


@pytest.mark.parametrize("version", [0, 240, -1])
def test_a_version_fits_the_format_byte(version: int) -> None:
    with pytest.raises(ConfigurationError, match="version= is 1 to 239"):
        StoreSpec("sums", key=str, value=int, version=version)


def test_a_later_version_needs_an_upgrade() -> None:
    with pytest.raises(ConfigurationError, match="needs upgrade="):
        StoreSpec("sums", key=str, value=int, version=2)


def test_a_value_type_that_cannot_be_stored_is_refused_when_declared() -> None:
    declared: Any = list[int] | set[int]
    with pytest.raises(ConfigurationError, match="store 'sums': its value type"):
        StoreSpec("sums", key=str, value=declared)


def test_a_spec_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        StoreSpec("sums", key=str, value=int).name = "other"  # type: ignore[misc]


def test_an_entry_longer_than_a_record_may_be_is_refused_at_put() -> None:
    sums = Store(StoreSpec("sums", key=str, value=str), TaskState(max_entry_bytes=100))
    sums.put("k", "x" * 80)
    with pytest.raises(UnencodableValue, match="100 are allowed") as caught:
        sums.put("k", "x" * 100)
    assert caught.value.reason == "too_large"
    assert sums.get("k") == "x" * 80


@pytest.mark.parametrize(("declared", "key"), [(str, 1), (str, "\ud800"), (int, "1"), (int, 2**63), (bytes, "a"),
                                               (tuple[str, int], ("a",)), (tuple[str, int], (1, "a"))])  # fmt: skip
def test_a_key_that_does_not_fit_fails_without_naming_itself(declared: Any, key: Any) -> None:
    sums: Store[Any, int] = Store(StoreSpec("sums", key=declared, value=int), TaskState())
    calls: list[tuple[Callable[..., object], tuple[Any, ...]]]
    calls = [(sums.put, (key, 1)), (sums.get, (key,)), (sums.delete, (key,)), (sums.scan, (key,))]
    for call, arguments in calls:
        with pytest.raises(UnencodableValue, match="store 'sums': a key that does not fit") as caught:
            call(*arguments)
        assert caught.value.field == "key"
        assert caught.value.__suppress_context__
