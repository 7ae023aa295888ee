from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it import MarkdownIt

from builder.templating import c_string, environment, md

visible_text = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]))
specials = st.text(st.sampled_from("\\`*_{}[]()<>#+-.!|~&$@:;/wa1 \"'?^%="))


def c_value(literal: str) -> bytes:
    """Return the bytes a C compiler makes of ``literal``: octal escapes are all it may hold."""
    assert re.fullmatch(r'"([\x20-\x7e]*)"', literal)
    assert "??" not in literal
    inner = re.sub(r"\\([0-7]{3})", lambda match: f"\\x{int(match[1], 8):02x}", literal[1:-1])
    assert '"' not in inner
    return bytes(ast.literal_eval(f'b"{inner}"'))


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_c_string_is_the_text_in_utf_8(text: str) -> None:
    assert c_value(c_string(text)) == text.encode()


@pytest.mark.parametrize("text", ['"; system("x', "??/", "\\", "\x011", "é1", "*/", "%s\n"])
def test_hostile_text_cannot_leave_a_c_string(text: str) -> None:
    assert c_value(c_string(text)) == text.encode()


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_what_c_cannot_hold_is_replaced(text: str) -> None:
    assert c_value(c_string(text)) == "\N{REPLACEMENT CHARACTER}".encode()


@settings(deadline=None)
@given(visible_text | specials)
def test_text_in_a_markdown_cell_shows_as_itself(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {md(text)} | end |\n"
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(table)
    cells = [t for t in tokens if t.type == "inline"]
    assert [cell.content for cell in cells][3:] == ["end"]
    children = cells[2].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children).strip() == text.strip()


@pytest.mark.parametrize("text", ["\n", "\r", "\u202e", "\x1b", "\u2028"])
def test_invisible_characters_are_shown_to_be_there(text: str) -> None:
    assert md(f"a{text}b") == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("text", ["www.evil.example", "http://evil.example", "a@evil.example"])
def test_a_name_is_no_link(text: str) -> None:
    assert not re.search(r"www\.|[a-z]:/|[a-z]@", md(text))


def test_an_undefined_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "remove.j2").write_text("rm -rf {{ folder }}/")
    with pytest.raises(UndefinedError):
        environment(tmp_path).get_template("remove.j2").render()


def test_blocks_leave_no_blank_lines_and_the_last_newline_stays(tmp_path: Path) -> None:
    (tmp_path / "list.j2").write_text(
        "{% for i in (1, 2) %}\n  {{ i | string | c_string }}\n{% endfor %}\n"
    )
    assert environment(tmp_path).get_template("list.j2").render() == '  "1"\n  "2"\n'
