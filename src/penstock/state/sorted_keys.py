"""Keys in order, for scans: a list of short sorted lists.

One long list would move half of itself at every insertion (0.3 ms at a million keys); in short ones an insertion moves
at most a kilobyte or so of pointers.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Final

_BUCKET: Final = 512
"""Keys per list when built; a list that doubles is cut in two, an empty one is dropped."""


class SortedKeys:
    """A set of keys in ascending order of their bytes."""

    __slots__ = ("_buckets", "_firsts", "_length", "_version")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        ordered = sorted(keys)
        self._buckets = [ordered[i : i + _BUCKET] for i in range(0, len(ordered), _BUCKET)]
        self._firsts = [bucket[0] for bucket in self._buckets]
        self._length = len(ordered)
        self._version = 0  # tells an iterator that its place may have moved

    def __len__(self) -> int:
        """Number of keys."""
        return self._length

    def add(self, key: bytes) -> None:
        """Put in a key that is not there yet."""
        self._length += 1
        self._version += 1
        if not self._buckets:
            self._buckets.append([key])
            self._firsts.append(key)
            return
        number = max(bisect_left(self._firsts, key) - 1, 0)
        bucket = self._buckets[number]
        insort(bucket, key)
        self._firsts[number] = bucket[0]
        if len(bucket) > 2 * _BUCKET:
            self._buckets.insert(number + 1, bucket[_BUCKET:])
            self._firsts.insert(number + 1, bucket[_BUCKET])
            del bucket[_BUCKET:]

    def remove(self, key: bytes) -> None:
        """Take out a key that is there."""
        number, place = self._locate(key)
        bucket = self._buckets[number]
        self._length -= 1
        self._version += 1
        del bucket[place]
        if bucket:
            self._firsts[number] = bucket[0]
        else:
            del self._buckets[number], self._firsts[number]

    def between(self, start: bytes, stop: bytes | None) -> Iterator[bytes]:
        """The keys from `start` up to `stop`, the latter excluded; None = to the end.

        Keys may be added and removed on the way: what lies ahead is seen as it is when the iterator gets there.
        """
        while True:
            number, place = self._locate(start)
            version = self._version
            while version == self._version:
                if number == len(self._buckets):
                    return
                bucket = self._buckets[number]
                if place == len(bucket):
                    number, place = number + 1, 0
                    continue
                key = bucket[place]
                if stop is not None and key >= stop:
                    return
                yield key
                place += 1
                start = key + b"\x00"  # the smallest key behind this one

    def _locate(self, key: bytes) -> tuple[int, int]:
        """Bucket and place of the first key that is not smaller; the end is the bucket behind the last, or its end."""
        if not self._buckets:
            return 0, 0
        number = bisect_left(self._firsts, key)
        if number < len(self._firsts) and self._firsts[number] == key:
            return number, 0
        number = max(number - 1, 0)
        return number, bisect_left(self._buckets[number], key)
