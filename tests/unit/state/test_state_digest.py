from __future__ import annotations

import xxhash
from hypothesis import given
from hypothesis import strategies as st

from penstock.state.digest import EMPTY, changed, digest_of, from_bytes, to_bytes

ENTRIES = st.dictionaries(st.binary(max_size=3), st.binary(max_size=3), max_size=8)


def test_the_digest_is_defined_by_its_documentation() -> None:
    """XXH3's own form is big-endian (its canonical representation); commit records have little-endian numbers."""
    assert xxhash.xxh3_128(b"").hexdigest() == "99aa06d3014798d86001c324468d497f"  # of the algorithm's own test vectors
    assert to_bytes(digest_of({b"ab": b"cde"})) == xxhash.xxh3_128(b"abcde", seed=2).digest()[::-1]


@given(ENTRIES, st.randoms())
def test_order_does_not_matter(entries: dict[bytes, bytes], random: object) -> None:
    items = list(entries.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert digest_of(dict(items)) == digest_of(entries)


@given(ENTRIES, ENTRIES)
def test_the_changes_from_one_state_to_another_give_the_other_ones_digest(
    before: dict[bytes, bytes], after: dict[bytes, bytes]
) -> None:
    keys = [*(before.keys() | after.keys())]
    digest = changed(digest_of(before), keys, list(map(before.get, keys)), list(map(after.get, keys)))
    assert digest == digest_of(after)
    assert from_bytes(to_bytes(digest)) == digest


@given(ENTRIES, ENTRIES)
def test_different_states_have_different_digests(a: dict[bytes, bytes], b: dict[bytes, bytes]) -> None:
    assert (digest_of(a) == digest_of(b)) == (a == b)


def test_bytes_that_move_between_key_and_value_are_seen() -> None:
    assert digest_of({b"a": b"bc"}) != digest_of({b"ab": b"c"})
    assert digest_of({}) == EMPTY
