"""Topics as code declares them: names, nulls, and which half of a record failed."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ConfigurationError, UnencodableValue
from penstock.schemas.serdes import int64
from penstock.schemas.topic import Topic


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ü", "a/b", "x" * 250, "a\n"])
def test_an_impossible_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="topic name"):
        Topic(name, key=str, value=str)


def test_mistakes_name_the_topic_and_the_side() -> None:
    with pytest.raises(ConfigurationError, match="topic 't', value: int can be written"):
        Topic("t", key=str, value=int)
    with pytest.raises(ConfigurationError, match="0 partitions"):
        Topic("t", key=str, value=str, partitions=0)


def test_a_topic_is_frozen() -> None:
    topic = Topic("t", key=str, value=str, config={"cleanup.policy": "compact"})
    with pytest.raises(AttributeError):
        topic.name = "u"  # type: ignore[misc]  # the point
    assert topic.config == {"cleanup.policy": "compact"}


def test_null_keys_pass() -> None:
    bound = Topic("t", key=str, value=str).bind()
    assert bound.encode_keys(["a", None]) == [b"a", None]
    decoded = bound.decode_keys([b"a", None, b"\xff"])
    assert decoded.values == ["a", None, None]
    assert list(decoded.failures) == [2]
    assert decoded.failures[2].index == 2


def test_null_values_pass_only_where_the_topic_has_tombstones() -> None:
    kept: Any = Topic("t", key=str, value=int64, tombstones=True).bind()
    strict: Any = Topic("t", key=str, value=int64).bind()

    assert kept.decode_values(kept.encode_values([None, 1, None])).values == [None, 1, None]
    assert kept.decode_values([None]).failures == {}
    with pytest.raises(UnencodableValue, match="tombstones=True") as caught:
        strict.encode_values([1, None])
    assert (caught.value.index, caught.value.reason) == (1, "tombstone")
    assert strict.decode_values([b"\x00" * 8, None]).failures[1].reason == "tombstone"


def test_the_index_of_a_bad_value_counts_the_nulls() -> None:
    bound: Any = Topic("t", key=str, value=str, tombstones=True).bind()
    with pytest.raises(UnencodableValue) as caught:
        bound.encode_values([None, "a", None, 5])
    assert caught.value.index == 3
