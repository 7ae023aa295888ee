"""The one Jinja environment: an undefined name is an error, and model text stays text.

Tensor and node names come from the model, so they may hold anything. Each output format has a
filter that makes such text inert: ``c_string`` for C, ``md`` for Markdown.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_C_PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\?')
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, bidi overrides, surrogates, line breaks
# What starts a construct inside a line; parentheses, "!" and "^" do so only beside a bracket. An
# underscore inside a word starts no emphasis, and a dot matters to GitHub's www links alone.
_MARKDOWN = re.compile(
    r"[\\`*\[\]<>#|~&$@:]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=www)\.", re.IGNORECASE
)


def environment(root: Path) -> Environment:
    """Return the environment of the templates below ``root``."""
    made = Environment(
        loader=FileSystemLoader(root),
        undefined=StrictUndefined,
        autoescape=False,  # nothing here is HTML; c_string and md escape where it matters
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["c_string"] = c_string
    made.filters["md"] = md
    return made


def html_environment(root: Path) -> Environment:
    """Return the environment of HTML templates: every value is escaped, and made visible.

    A value cannot leave its place: markup, control characters and bidirectional overrides in it
    show as themselves or as U+FFFD.
    """
    return Environment(
        loader=FileSystemLoader(root),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def c_string(text: str) -> str:
    """Return a C string literal, quotes included, whose bytes are the UTF-8 of ``text``.

    Octal escapes always have three digits, so a digit that follows cannot join them as it would a
    hexadecimal one; ``?`` is escaped, so no trigraph can form. What a C string cannot hold (NUL) or
    UTF-8 cannot spell (a lone surrogate) becomes U+FFFD.
    """
    clean = re.sub("[\0\ud800-\udfff]", _REPLACEMENT, text)
    return '"' + "".join(_c_byte(byte) for byte in clean.encode()) + '"'


def md(text: str) -> str:
    """Return ``text`` escaped to show as itself inside a Markdown sentence or table cell.

    Follows CommonMark with GitHub's tables and autolinks. Not for the start of a line (a dash there
    is a list) and not for code blocks. Line breaks and invisible characters become U+FFFD.
    """
    return _MARKDOWN.sub(r"\\\g<0>", _shown(text))


def _c_byte(byte: int) -> str:
    return chr(byte) if byte in _C_PLAIN else f"\\{byte:03o}"


def _visible(value: object) -> object:
    return _shown(value) if type(value) is str else value


def _shown(text: str) -> str:
    return "".join(_REPLACEMENT if _is_invisible(c) else c for c in text)


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE
