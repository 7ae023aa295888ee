"""The lines of an ssh_config file (ssh_config(5)), before any of them means something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builder.errors import UsageError

_LINE = re.compile(r"\s*(?P<keyword>[A-Za-z]+)(?:\s*=\s*|\s+|$)(?P<rest>.*?)\s*$", re.DOTALL)
_PIECE = re.compile(
    r'"(?P<double>(?:\\.|[^"\\])*)"|\'(?P<single>(?:\\.|[^\'\\])*)\'|(?P<plain>(?:\\[\s"\']|[^\s"\'])+)'
)
_ESCAPED = re.compile(r"\\([\s\\\"'])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """One line: its keyword in lower case, the words after it, and those words as they stand."""

    keyword: str
    words: tuple[str, ...]
    rest: str
    where: str

    @property
    def word(self) -> str:
        """The only word, or the first one."""
        return self.words[0]


def parse(text: str, file: str) -> Iterator[Directive]:
    """Yield the directives of a file. Raises ``UsageError`` (``ssh-config``) at ``file:line``."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{file}:{number}"
        if (found := _LINE.match(line)) is None:
            raise malformed(where, "this line has no keyword")
        rest = found["rest"]
        if not (words := tuple(_words(rest, where))):
            raise malformed(where, f"{found['keyword']} has no value")
        yield Directive(keyword=found["keyword"].lower(), words=words, rest=rest, where=where)


def malformed(where: str, what: str) -> UsageError:
    """Return the failure for a configuration that cannot be understood."""
    return UsageError(what, reason="ssh-config", where=where, remedy="see ssh_config(5)")


def _words(rest: str, where: str) -> Iterator[str]:
    at = 0
    while True:
        while at < len(rest) and rest[at].isspace():
            at += 1
        if at == len(rest) or rest[at] == "#":
            return
        word, at = _word(rest, at, where)
        yield word


def _word(rest: str, at: int, where: str) -> tuple[str, int]:
    word = ""
    while at < len(rest) and not rest[at].isspace():
        if (piece := _PIECE.match(rest, at)) is None:
            raise malformed(where, "a quotation mark is not closed")
        word += _ESCAPED.sub(r"\1", piece[piece.lastgroup or 0])
        at = piece.end()
    return word, at
