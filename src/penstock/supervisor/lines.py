"""What a worker writes, passed on in whole lines, so that the lines of several workers stay readable."""

from __future__ import annotations

import os
import select
from collections import deque
from typing import Final

_READ_BYTES: Final = 65_536
_LONGEST_BYTES: Final = 1 << 20
"""A line that is longer is passed on in pieces."""
_WORDS: Final = 20
_WORD_BYTES: Final = 2_000


class LineStream:
    """From a pipe to a descriptor of ours.

    Args:
        source: the pipe's reading end; closed by `finish`.
        sink: the descriptor, such as 2 for standard error.
    """

    def __init__(self, source: int, sink: int) -> None:
        os.set_blocking(source, False)
        self.source = source
        self._sink = sink
        self._begun = b""
        self._words: deque[bytes] = deque(maxlen=_WORDS)

    @property
    def last_words(self) -> list[str]:
        """The last lines that went through."""
        return [word.decode(errors="replace") for word in self._words]

    def pump(self) -> bool:
        """Pass on what is there, up to the last whole line; False when nothing will ever come again."""
        try:
            data = os.read(self.source, _READ_BYTES)
        except BlockingIOError:
            return True
        whole, newline, self._begun = (self._begun + data).rpartition(b"\n")
        if newline:
            self._pass_on(whole + newline)
        if len(self._begun) > _LONGEST_BYTES:
            self._end_line()
        return bool(data)

    def finish(self) -> None:
        """Pass on the rest, ended as a line, and close the pipe; what a child of the worker still writes is lost."""
        is_waiting = True
        while is_waiting:
            is_waiting = bool(select.select([self.source], [], [], 0)[0]) and self.pump()
        self._end_line()
        os.close(self.source)

    def _end_line(self) -> None:
        if self._begun:
            self._pass_on(self._begun + b"\n")
            self._begun = b""

    def _pass_on(self, lines: bytes) -> None:
        self._words.extend(line[:_WORD_BYTES] for line in lines[:-1].split(b"\n"))
        write_all(self._sink, lines)


def write_all(sink: int, data: bytes) -> None:
    """Write all of it, however slow the reader is; if there is none any more, work goes on without being heard."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(sink, rest) :]
        except BlockingIOError:  # somebody made the terminal we share non-blocking
            select.select([], [sink], [])
        except OSError:
            return
