"""Causes, not records."""

from __future__ import annotations

from penstock.redrive.groups import MAX_GROUPS, OTHERS, Groups
from tests.unit.redrive.letters import dead_letter


def test_letters_of_one_kind_are_one_group_with_its_first_and_last_sight() -> None:
    groups = Groups()
    for offset, failed_ms in enumerate([30, 10, 20, 40]):
        groups.add(dead_letter(offset, failed_ms=failed_ms), "open" if offset else "redriven")
    groups.add(dead_letter(9, fingerprint="bb"), "open")
    first, second = groups.largest_first()
    assert (first.name, first.letters, first.first_ms, first.last_ms) == ("00aa", 4, 10, 40)
    assert first.fates == {"redriven": 1, "open": 3}
    assert first.samples == ["dlq.p.in[0]@0", "dlq.p.in[0]@1", "dlq.p.in[0]@2"]
    assert second.name == "bb"


def test_what_is_open_comes_first() -> None:
    groups = Groups("stage")
    for offset in range(5):
        groups.add(dead_letter(offset, stage="decode"), "redriven")
    groups.add(dead_letter(5, stage="process"), "open")
    assert [group.name for group in groups.largest_first()] == ["process", "decode"]


def test_kinds_without_end_are_counted_together() -> None:
    groups = Groups()
    for offset in range(MAX_GROUPS + 50):
        groups.add(dead_letter(offset, fingerprint=str(offset)), "open")
    found = groups.largest_first()
    assert len(found) == MAX_GROUPS + 1
    assert (found[0].name, found[0].letters) == (OTHERS, 50)


def test_a_group_keeps_nothing_of_the_record_itself() -> None:
    """There may be a thousand groups, and a record may have megabytes."""
    groups = Groups()
    groups.add(dead_letter(1, exception="BadRecord", stack="a\nb", message="m", restored=(("h", b"1"),)), "open")
    kept = groups.largest_first()[0].first
    assert (kept.key, kept.value, kept.headers, kept.restored, kept.stack, kept.message) == (None, None, (), (), "", "")
    assert (str(kept), kept.exception) == ("dlq.p.in[0]@1", "BadRecord")
