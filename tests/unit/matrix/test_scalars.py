from __future__ import annotations

import pytest

from builder.matrix.scalars import resolve


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nothing(text: str) -> None:
    assert resolve(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), ("false", False), ("FALSE", False)]
)
def test_booleans(text: str, value: bool) -> None:
    assert resolve(text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("42", 42), ("-7", -7), ("+7", 7), ("999999999999999999", 10**18 - 1)],
)
def test_whole_numbers(text: str, value: int) -> None:
    resolved = resolve(text)
    assert type(resolved) is int
    assert resolved == value


@pytest.mark.parametrize(
    ("text", "value"), [("2.27", 2.27), ("1.", 1.0), ("-1.5e3", -1500.0), ("1e2", 100.0)]
)
def test_fractions(text: str, value: float) -> None:
    resolved = resolve(text)
    assert type(resolved) is float
    assert resolved == value


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "22:22",
        "010",
        "0x1F",
        "0o17",
        "0b1",
        "1_000",
        "2026-11-21",
        ".inf",
        ".nan",
        ".5",
        "1e999",
        "tRUE",
        "2.27.1",
        "1\n",
        "٣",
        "9" * 5000,
    ],
)
def test_everything_else_is_the_text_that_was_written(text: str) -> None:
    assert resolve(text) == text
