"""Memory planning: what lives together never overlaps, and little is wasted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from builder.compiler.arena import Lifetime, align, assign
from builder.compiler.plan import ALIGNMENT


@st.composite
def lifetimes(draw: st.DrawFn) -> Lifetime:
    first = draw(st.integers(0, 30))
    return Lifetime(
        size_bytes=draw(st.integers(0, 5000)), first=first, last=first + draw(st.integers(0, 8))
    )


def peak(buffers: list[Lifetime]) -> int:
    """Return the bytes alive at the fullest call: no arena can be smaller."""
    calls = range(max((b.last for b in buffers), default=0) + 1)
    return max(
        (sum(align(b.size_bytes) for b in buffers if b.first <= c <= b.last) for c in calls),
        default=0,
    )


@given(st.lists(lifetimes(), max_size=40))
def test_buffers_alive_together_are_apart_aligned_and_inside(buffers: list[Lifetime]) -> None:
    offsets, size = assign(buffers)
    placed = list(zip(buffers, offsets, strict=True))
    for number, (one, at) in enumerate(placed):
        assert at % ALIGNMENT == 0
        assert at + one.size_bytes <= size
        for other, there in placed[number + 1 :]:
            if one.first <= other.last and other.first <= one.last:
                apart = (at + one.size_bytes <= there) or (there + other.size_bytes <= at)
                assert apart
    assert peak(buffers) <= size <= sum(align(b.size_bytes) for b in buffers)


def test_a_chain_needs_two_buffers() -> None:
    chain = [Lifetime(size_bytes=1000, first=call, last=call + 1) for call in range(10)]
    _, size = assign(chain)
    assert size == 2 * align(1000)


def test_the_tightest_hole_is_taken() -> None:
    wall = [
        Lifetime(size_bytes=640, first=0, last=9),
        Lifetime(size_bytes=320, first=0, last=1),
        Lifetime(size_bytes=192, first=0, last=9),
        Lifetime(size_bytes=128, first=0, last=1),
    ]
    late = Lifetime(size_bytes=64, first=5, last=9)
    offsets, size = assign([*wall, late])
    assert size == 640 + 320 + 192 + 128
    assert offsets[4] in (offsets[1], offsets[3])


def test_nothing_needs_nothing() -> None:
    assert assign([]) == ((), 0)
