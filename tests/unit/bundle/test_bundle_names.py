from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.bundle.names import LONGEST_STEM, file_stem

SAFE = re.compile(r"[A-Za-z0-9_%][A-Za-z0-9_.%-]*")
any_text = st.text(max_size=300) | st.text(st.characters(codec=None), max_size=30)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("input", "input"),
        ("input.1", "input.1"),
        ("serving_default_x:0", "serving_default_x%3A0"),
        ("../../evil", "%2E.%2F..%2Fevil"),
        ("-rf", "%2Drf"),
        ("a b;$(x)", "a%20b%3B%24%28x%29"),
        ("100%", "100%25"),
        ("é", "%C3%A9"),
        ("", "_"),
        ("NUL", "_NUL"),
        ("con.1", "_con.1"),
        ("console", "console"),
    ],
)
def test_a_name_stays_recognisable(name: str, stem: str) -> None:
    assert file_stem(name, set()) == stem


@settings(deadline=None)
@given(any_text)
def test_any_name_becomes_a_plain_file_name(name: str) -> None:
    stem = file_stem(name, set())
    assert SAFE.fullmatch(stem)
    assert len(stem) <= LONGEST_STEM
    assert not re.search(r"%(?![0-9A-F]{2})", stem)


@settings(deadline=None)
@given(st.lists(any_text | st.sampled_from(["a", "A", "a-", "x" * 101, "X" * 101])))
def test_stems_of_one_model_differ_on_any_disk(names: list[str]) -> None:
    taken: set[str] = set()
    stems = [file_stem(name, taken) for name in names]
    assert len({stem.lower() for stem in stems}) == len(names)
    assert taken == {stem.lower() for stem in stems}


@settings(deadline=None)
@given(st.lists(any_text, unique=True))
def test_stems_depend_on_the_names_alone(names: list[str]) -> None:
    first: set[str] = set()
    second: set[str] = set()
    assert [file_stem(n, first) for n in names] == [file_stem(n, second) for n in names]


def test_long_names_that_share_a_beginning_stay_apart() -> None:
    taken: set[str] = set()
    stems = {file_stem("a" * 200 + end, taken) for end in "xyz"}
    assert len(stems) == 3
