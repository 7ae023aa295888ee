from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import UsageError
from builder.matrix import positions
from builder.matrix.positions import MAX_BYTES, MAX_DEPTH, decode, parse
from builder.matrix.tree import MappingNode, Path, ScalarNode, find, key_mark, plain

LOADERS = [
    pytest.param(yaml.SafeLoader, id="python"),
    pytest.param(
        getattr(yaml, "CSafeLoader", None),
        id="libyaml",
        marks=pytest.mark.skipif(
            not hasattr(yaml, "CSafeLoader"), reason="PyYAML was built without libyaml"
        ),
    ),
]


@pytest.fixture(params=LOADERS, autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(positions, "_LOADER", request.param)
    parse.cache_clear()
    yield request.param
    parse.cache_clear()


def refusal(text: str) -> tuple[str, str | None]:
    with pytest.raises(UsageError) as caught:
        parse(text, "f.yaml")
    return caught.value.reason, caught.value.where


def value_at(text: str, path: Path) -> object:
    node = find(parse(text, "f.yaml"), path)
    assert isinstance(node, ScalarNode)
    return node.value


def test_everything_remembers_where_it_was_written() -> None:
    root = parse("# a board\ncpu:\n  mcpu: generic\n  mattr: [+neon,\n    +vfp4]\n", "f.yaml")
    item = find(root, ("cpu", "mattr", 1))
    assert item is not None
    assert str(item.mark) == "f.yaml:5:5"
    assert str(key_mark(root, ("cpu", "mcpu"))) == "f.yaml:3:3"
    assert str(key_mark(root, ("cpu",))) == "f.yaml:2:1"
    assert str(root.mark) == "f.yaml:2:1"


def test_columns_count_characters_not_bytes() -> None:
    root = parse('{"größe": x, b: y}', "f.yaml")
    assert str(key_mark(root, ("b",))) == "f.yaml:1:14"


def test_values_are_plain_python() -> None:
    root = parse("a: [1, 2.5, no, null]\nb: {c: true}\n", "f.yaml")
    assert plain(root) == {"a": [1, 2.5, "no", None], "b": {"c": True}}


@pytest.mark.parametrize("written", ['"1"', "'1'", "|-\n  1", ">-\n  1"])
def test_only_bare_scalars_become_numbers(written: str) -> None:
    assert value_at(f"a: {written}\n", ("a",)) == "1"


def test_a_scalar_keeps_the_text_it_was_written_as() -> None:
    node = find(parse("floor: 2.30\n", "f.yaml"), ("floor",))
    assert isinstance(node, ScalarNode)
    assert (node.value, node.text) == (2.3, "2.30")


def test_a_byte_order_mark_is_no_content() -> None:
    assert value_at("\ufeffa: 1\n", ("a",)) == 1


@pytest.mark.parametrize(
    ("text", "reason", "where"),
    [
        ("a: 1\nb: 2\na: 3\n", "yaml-duplicate-key", "f.yaml:3:1"),
        ("a: {b: 1, 'b': 2}\n", "yaml-duplicate-key", "f.yaml:1:11"),
        ("a: &x [1]\nb: *x\n", "yaml-alias", "f.yaml:1:4"),
        ("a: *x\n", "yaml-alias", "f.yaml:1:4"),
        ("&k a: 1\n", "yaml-alias", "f.yaml:1:1"),
        ("? *k\n: 1\n", "yaml-alias", "f.yaml:1:3"),
        ("a: !!str 1\n", "yaml-tag", "f.yaml:1:4"),
        ("a: !!python/object/apply:os.system [x]\n", "yaml-tag", "f.yaml:1:4"),
        ("! a: 1\n", "yaml-tag", "f.yaml:1:1"),
        ("<<: {a: 1}\n", "yaml-merge-key", "f.yaml:1:1"),
        ("a: 1\n---\nb: 2\n", "yaml-many-documents", "f.yaml:2:1"),
        ("a:\n  1: x\n", "yaml-key", "f.yaml:2:3"),
        ("true: x\n", "yaml-key", "f.yaml:1:1"),
        ("? [a]\n: x\n", "yaml-key", "f.yaml:1:3"),
        ("- a\n", "yaml-not-mapping", "f.yaml:1:1"),
        ("just text\n", "yaml-not-mapping", "f.yaml:1:1"),
        ("", "yaml-empty", "f.yaml:1:1"),
        ("# nothing\n", "yaml-empty", "f.yaml:1:1"),
        ("a: [1, 2\n", "yaml-syntax", "f.yaml:2:1"),
        ("a: 1\n\tb: 2\n", "yaml-syntax", "f.yaml:2:1"),
        ("a: b: c\n", "yaml-syntax", "f.yaml:1:5"),
        ("a: ok\nb: \x00\n", "yaml-not-text", "f.yaml:2:4"),
        ("a: \x1b[2J\n", "yaml-not-text", "f.yaml:1:4"),
        ("a: \ud800\n", "yaml-not-text", "f.yaml:1:4"),
    ],
)
def test_refused(text: str, reason: str, where: str) -> None:
    assert refusal(text) == (reason, where)


def test_a_duplicate_key_names_the_first_one() -> None:
    with pytest.raises(UsageError) as caught:
        parse("a: 1\nb: 2\na: 3\n", "f.yaml")
    assert "f.yaml:1:1" in (caught.value.remedy or "")


def test_words_that_look_like_booleans_elsewhere_are_keys_here() -> None:
    assert plain(parse("no: 1\non: 2\n'<<': 3\n", "f.yaml")) == {"no": 1, "on": 2, "<<": 3}


def test_an_alias_bomb_is_refused_where_it_begins() -> None:
    rows = [f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 40)]
    assert refusal("k0: &k0 x\n" + "\n".join(rows)) == ("yaml-alias", "f.yaml:1:5")


def test_nesting_has_a_limit() -> None:
    deepest = MAX_DEPTH - 2  # the root and the innermost value are levels as well
    assert isinstance(parse("a: " + "[" * deepest + "1" + "]" * deepest, "f.yaml"), MappingNode)
    assert refusal("a: " + "[" * (deepest + 1) + "1" + "]" * (deepest + 1))[0] == "yaml-too-deep"


def test_absurd_nesting_is_refused_at_once() -> None:
    assert refusal("a: " + "[" * 500_000)[0] == "yaml-too-deep"


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_size_is_counted_in_bytes(letter: str) -> None:
    text = "a: " + letter * (MAX_BYTES // len(letter.encode()))
    assert refusal(text) == ("yaml-too-large", "f.yaml:1:1")


@pytest.mark.parametrize("escape", [r"\UFFFFFFFF", r"\ud800", r"\xZZ"])
def test_escapes_of_no_character_are_refused(escape: str) -> None:
    assert refusal(f'a: "{escape}"\n')[0] in ("yaml-syntax", "yaml-not-text")


def test_bytes_that_are_not_utf8_are_refused_by_position() -> None:
    with pytest.raises(UsageError) as caught:
        decode("a: ü\nb: ".encode() + b"\xff\xfe", "f.yaml")
    assert (caught.value.reason, caught.value.where) == ("yaml-not-text", "f.yaml:2:4")


def test_bytes_that_are_utf8_are_text() -> None:
    assert decode("a: ü\n".encode(), "f.yaml") == "a: ü\n"


yamlish = st.lists(
    st.sampled_from(
        [*" \n\t:-?[]{},&*!|>'\"%@`#~<\\_0ax", ": ", "\n  ", "- ", "---", "%YAML 1.", "!!"]
    )
).map("".join)


@given(st.text() | yamlish)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(plain(parse(text, "f.yaml")), dict)
    except UsageError as refused:
        assert re.match(r"f\.yaml:[1-9][0-9]*:[1-9][0-9]*$", refused.where or "")
