"""Clock times of one time zone as instants, and back.

All times here are whole minutes since 1970: an *instant* counts them in UTC, a *wall* time counts them as the zone's
clocks show them. Integers, because a year of flights needs a million of these conversions.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

DAY = 1440
"""Minutes of a wall day."""

_REACH_WEST, _REACH_EAST = 14 * 60, 12 * 60
"""No clock is further from UTC than this, so a wall day lies within these bounds of the UTC day of the same name."""


class Zone:
    """The clocks of one IANA time zone, daylight saving included."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._zone = ZoneInfo(name)
        self._offsets_of_day: dict[int, tuple[int, ...]] = {}

    def wall(self, instant: int) -> int:
        """What the clocks show at `instant`."""
        offsets = self._offsets(instant // DAY)
        return instant + (offsets[0] if len(offsets) == 1 else self._offset(instant))

    def instants(self, wall: int) -> tuple[int, ...]:
        """When the clocks show `wall`, in order: once as a rule, twice in autumn's repeated hour, never in spring's."""
        offsets = self._offsets(wall // DAY)
        if len(offsets) == 1:
            return (wall - offsets[0],)
        return tuple(wall - offset for offset in offsets if self._offset(wall - offset) == offset)

    def first_after(self, instant: int, minute_of_day: int) -> int | None:
        """The first moment after `instant` when the clocks show `minute_of_day`.

        Returns:
            An instant; None where that moment fell into the hour that spring leaves out.
        """
        shown = self.wall(instant)
        midnight = shown - shown % DAY
        for wall in (midnight + minute_of_day % DAY, midnight + minute_of_day % DAY + DAY):
            moments = self.instants(wall)
            if not moments and wall > shown:
                return None
            for moment in moments:
                if moment > instant:
                    return moment
        raise AssertionError("a clock shows each time of day once within two days, or leaves it out")

    def _offsets(self, day: int) -> tuple[int, ...]:
        """The offsets in force around a day, the larger first: with it the same wall time is the earlier instant."""
        offsets = self._offsets_of_day.get(day)
        if offsets is None:
            start = day * DAY
            around = {self._offset(start - _REACH_WEST), self._offset(start + DAY + _REACH_EAST)}
            offsets = self._offsets_of_day[day] = tuple(sorted(around, reverse=True))
        return offsets

    def _offset(self, instant: int) -> int:
        offset = datetime.fromtimestamp(instant * 60, UTC).astimezone(self._zone).utcoffset()
        assert offset is not None  # noqa: S101 - astimezone gives an aware datetime
        return int(offset.total_seconds()) // 60


def moment(instant: int) -> datetime:
    """An instant as an aware datetime in UTC."""
    return datetime.fromtimestamp(instant * 60, UTC)
