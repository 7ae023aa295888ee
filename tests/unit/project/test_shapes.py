from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import UsageError
from builder.project import parse_shape


@pytest.mark.parametrize(
    ("option", "name", "shape"),
    [
        ("images=1,3,224,224", "images", (1, 3, 224, 224)),
        ("x=1", "x", (1,)),
        ("a=b:0/c=2,3", "a=b:0/c", (2, 3)),
        ("=x=1", "=x", (1,)),
        ("two words=1", "two words", (1,)),
        ("x=2147483647", "x", (2**31 - 1,)),
    ],
)
def test_read(option: str, name: str, shape: tuple[int, ...]) -> None:
    assert parse_shape(option) == (name, shape)


@pytest.mark.parametrize(
    "option",
    [
        "",
        "images",
        "=1,2",
        "x=",
        "x=1,",
        "x=,1",
        "x=1,,2",
        "x=0",
        "x=-1",
        "x=1.5",
        "x=1x3x4",
        "x=1, 3",
        "x=a",
        "x=?",
        "x=01",
        "x=٣",
        "x=2147483648",
        "x=99999999999999999999",
        "x=" + "9" * 10_000,
        "x=1\n",
    ],
)
def test_refused(option: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_shape(option)
    assert caught.value.reason == "bad-shape"


@given(st.text(min_size=1), st.lists(st.integers(1, 2**31 - 1), min_size=1))
def test_any_name_and_extents_are_read_back(name: str, shape: list[int]) -> None:
    assert parse_shape(f"{name}={','.join(map(str, shape))}") == (name, tuple(shape))
