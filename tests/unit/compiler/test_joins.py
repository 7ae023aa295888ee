"""Concatenations without copies: every part has one place, and lies where the whole has it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from builder.compiler.joins import NONE, Join, Span, joined

SIZES = [64, 128, 64, 100, 192, 256]


def test_parts_lie_behind_each_other() -> None:
    join = Join(parts=(0, 1, 2), whole=5)
    made = joined([join], SIZES, frozenset())
    assert made.without_copy == {join}
    assert [made.home(part) for part in join.parts] == [Span(5, 0), Span(5, 64), Span(5, 192)]


def test_a_whole_may_be_part_of_another() -> None:
    made = joined([Join(parts=(0, 1), whole=4), Join(parts=(2, 4), whole=5)], SIZES, frozenset())
    assert made.home(1) == Span(5, 128)


def test_a_list_that_grows_is_one_buffer() -> None:
    made = joined([Join(parts=(0, 1), whole=4), Join(parts=(0, 1, 2), whole=5)], SIZES, frozenset())
    assert len(made.without_copy) == 2
    assert (made.home(1), made.home(2)) == (Span(5, 64), Span(5, 192))


def test_what_has_a_place_of_its_own_is_copied() -> None:
    assert joined([Join(parts=(0, 1), whole=4)], SIZES, {1}) == NONE


def test_a_part_of_two_wholes_is_copied_once() -> None:
    first, second = Join(parts=(0, 1), whole=4), Join(parts=(1, 2), whole=5)
    assert joined([first, second], SIZES, frozenset()).without_copy == {first}


def test_a_part_twice_and_a_part_out_of_line_are_copied() -> None:
    assert joined([Join(parts=(0, 0), whole=4)], SIZES, frozenset()) == NONE
    assert joined([Join(parts=(3, 0), whole=4)], SIZES, frozenset()) == NONE


@given(st.lists(st.lists(st.integers(0, 11), min_size=2, max_size=4), max_size=8))
def test_no_two_parts_share_a_byte(lists: list[list[int]]) -> None:
    """Parts are of the first numbers, or wholes of the joins before."""
    sizes = [64 * (1 + number % 3) for number in range(12)]
    joins = []
    for numbers in lists:
        parts = tuple(number % len(sizes) for number in numbers)
        joins.append(Join(parts=parts, whole=len(sizes)))
        sizes.append(sum(sizes[part] for part in parts))
    made = joined(joins, sizes, frozenset())
    ends = dict.fromkeys(range(len(sizes)), 0)
    for part, span in sorted(made.spans.items(), key=lambda item: item[1].start):
        assert span.start == ends[span.buffer]
        ends[span.buffer] += sizes[part]
    assert all(ends[join.whole] == sizes[join.whole] for join in made.without_copy)
