from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import UsageError
from builder.project import parse_dim, parse_freeze


def test_a_dimensions_name_ends_at_the_last_equals_sign() -> None:
    assert parse_dim("batch=1") == ("batch", 1)
    assert parse_dim("a=b + 1=2147483647") == ("a=b + 1", 2**31 - 1)


@pytest.mark.parametrize(
    "option", ["", "batch", "=1", "batch=", "batch=0", "b=-1", "b=1.5", "b=x", "b=2147483648"]
)
def test_a_dimension_is_a_whole_number(option: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_dim(option)
    assert caught.value.reason == "bad-dim"


@pytest.mark.parametrize(
    ("option", "frozen"),
    [
        ("sr=16000", ("sr", "16000")),
        ("on=true", ("on", "true")),
        ("x=-1.5", ("x", "-1.5")),
        ("x=1,2,3", ("x", "[1,2,3]")),
        ("x=[[1, 2], [3, 4]]", ("x", "[[1,2],[3,4]]")),
        ("x=[1,2],[3,4]", ("x", "[[1,2],[3,4]]")),
        ("a=b=NaN", ("a=b", "NaN")),
        ("dir/constants.npz", Path("dir/constants.npz")),
        ("a=b.npz", Path("a=b.npz")),
    ],
)
def test_a_frozen_input_is_a_value_or_a_file(option: str, frozen: object) -> None:
    assert parse_freeze(option) == frozen


@pytest.mark.parametrize(
    "option",
    [
        "",
        "sr",
        "=1",
        "sr=",
        "sr=fast",
        'sr="1',
        'sr={"a":1}',
        'sr=["a"]',
        "sr=null",
        "sr=[]",
        "sr=[[1],[1,2]]",
        "sr=[1,[2]]",
        "sr=" + "[" * 9 + "1" + "]" * 9,
        "sr=" + "[" * 100_000,
    ],
)
def test_what_is_no_array_of_numbers_is_refused(option: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_freeze(option)
    assert caught.value.reason == "bad-freeze"


@given(st.text(min_size=1), st.lists(st.integers(-(2**63), 2**64), min_size=1))
def test_any_name_and_value_are_read_back(name: str, value: list[int]) -> None:
    frozen = parse_freeze(f"{name}={value}")
    assert isinstance(frozen, tuple)
    assert (frozen[0], json.loads(frozen[1])) == (name, value)
