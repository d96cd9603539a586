"""Pieces of Python source in the layout that `ruff format` leaves alone at 120 columns."""

from __future__ import annotations

import re
import textwrap
from typing import Final

WIDTH: Final = 120
INDENT: Final = "    "
# Linters object to characters that look like ASCII ones.
_TYPOGRAPHY: Final = str.maketrans("\u2010\u2011\u2012\u2013\u2018\u2019\u201c\u201d\xd7", "----''\"\"x")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")
_FIELD: Final = re.compile(r'.+?(?:\},|"fields":\[)(?=\{)|.+')
_PIECE: Final = re.compile(r"[^,]*,|[^,]+$")


def quoted(text: str) -> str:
    """A string literal in ASCII, in double quotes unless single ones need fewer escapes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = text.encode("unicode_escape").decode("ascii").replace(quote, f"\\{quote}")
    return f"{quote}{body}{quote}"


def quoted_bytes(data: bytes) -> str:
    """A bytes literal, quoted like a string."""
    quote = "'" if data.count(b'"') > data.count(b"'") else '"'
    body = "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in data)
    return f"b{quote}{body.replace(quote, f'{chr(92)}{quote}')}{quote}"


def fitting(line: str) -> str:
    """The line, exempt from wrapping and from the length rule where it is too long: only odd schemas have such."""
    return line if len(line) <= WIDTH else f"{line}  # fmt: skip  # noqa: E501"


def schema_assignment(head: str, schema: str) -> list[str]:
    """`head = '{"type":...}'` as lines, one per field, so that a changed field shows as a changed line."""
    line = f"{head} = {quoted(schema)}"
    if len(line) <= WIDTH:
        return [line]
    indent = head[: len(head) - len(head.lstrip())]
    width = WIDTH - len(indent) - len(INDENT)
    chunks = [chunk for part in _FIELD.findall(schema) for chunk in _chunks(part, width)]
    return [f"{head} = (", *(f"{indent}{INDENT}{quoted(chunk)}" for chunk in chunks), f"{indent})"]


def _chunks(text: str, width: int) -> list[str]:
    chunks = [""]
    for piece in _pieces(text, width):
        if len(quoted(chunks[-1] + piece)) > width and chunks[-1]:
            chunks.append("")
        chunks[-1] += piece
    return chunks


def _pieces(text: str, width: int) -> list[str]:
    """Up to each comma; what is too long for a line even so, up to each space; and then any few characters."""
    found: list[str] = []
    for part in _PIECE.findall(text):
        words = [part] if len(quoted(part)) <= width else re.findall(r"\S*\s*", part)
        for word in words:
            few = width // 10  # an escaped character takes up to ten columns
            found += [word] if len(quoted(word)) <= width else [word[i : i + few] for i in range(0, len(word), few)]
    return found


def docstring(doc: str, indent: str, otherwise: str) -> list[str]:
    """A docstring as lines: a summary that fits one line, then the rest, wrapped; `otherwise` where `doc` is empty.

    Characters that do not print, among them those that change the direction of the text, are replaced.
    """
    paragraphs = [_plain(each) for each in re.split(r"\n\s*\n", doc)]
    paragraphs = [each for each in paragraphs if each] or [otherwise]
    # Four columns stay for a raw docstring's prefix and its quotes' sake.
    room = WIDTH - len(indent) - len('r""""""')
    summary, *rest = _SENTENCE_END.split(paragraphs[0], maxsplit=1)
    if len(" ".join(paragraphs)) < room and len(paragraphs) == 1:
        summary, rest = paragraphs[0], []
    if len(summary) >= room:
        summary, rest = otherwise, [paragraphs[0]]
    body = [*rest, *paragraphs[1:]]
    prefix = 'r"""' if any("\\" in part for part in [summary, *body]) else '"""'
    if not body:
        return [f'{indent}{prefix}{_ended(summary)}"""']
    wrapped = "\n\n".join(textwrap.fill(part, WIDTH - len(indent), break_on_hyphens=False) for part in body)
    lines = [f"{prefix}{_ended(summary)}", "", *wrapped.split("\n"), '"""']
    return [f"{indent}{line}".rstrip() for line in lines]


def _plain(doc: str) -> str:
    shown = "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in doc.translate(_TYPOGRAPHY))
    return " ".join(shown.replace('"""', "'''").split())


def _ended(summary: str) -> str:
    return summary if summary.endswith((".", "!", "?")) else f"{summary}."
