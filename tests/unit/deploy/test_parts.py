from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.deploy.parts import (
    LEAST_BYTES,
    MOST_BYTES,
    MOST_SEGMENTS,
    Part,
    Segment,
    compare,
    dump_parts,
    load_parts,
    longest_list_bytes,
    split,
)

CONTENT = random.Random(1).randbytes(600_000)


def parts(content: bytes) -> tuple[Part, ...]:
    return split(memoryview(content))


def rebuilt(segments: tuple[Segment, ...], new: bytes, base: bytes) -> bytes:
    pieces = []
    for run in segments:
        source, start = (new, run.offset) if run.base_offset is None else (base, run.base_offset)
        pieces.append(source[start : start + run.size_bytes])
    return b"".join(pieces)


def sent(segments: tuple[Segment, ...]) -> int:
    return sum(run.size_bytes for run in segments if run.base_offset is None)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, LEAST_BYTES, MOST_BYTES, MOST_BYTES + 1])
@pytest.mark.parametrize("content", [CONTENT, bytes(600_000), b"ab" * 300_000])
def test_parts_make_up_the_whole_and_keep_to_their_sizes(content: bytes, size: int) -> None:
    found = parts(content[:size])
    assert sum(part.size_bytes for part in found) == size
    assert all(LEAST_BYTES <= part.size_bytes <= MOST_BYTES for part in found[:-1])
    assert bool(found) == bool(size)


def test_where_parts_end_follows_from_the_content_alone() -> None:
    # 4 MiB is where the hash is computed in a new block.
    content = random.Random(2).randbytes((4 << 20) + 300_000)
    shifted = parts(b"x" * 1000 + content)
    assert len(set(parts(content)) - set(shifted)) <= 2


def test_what_is_kept_is_read_back() -> None:
    found = parts(CONTENT)
    assert load_parts(dump_parts(found), len(CONTENT)) == found


@pytest.mark.parametrize(
    "kept", [b"", b"boardwright parts 1\n", b"\0" * 99, dump_parts(parts(CONTENT))[:-1]]
)
def test_what_a_board_has_made_up_is_no_list(kept: bytes) -> None:
    assert load_parts(kept, len(CONTENT)) == ()


@pytest.mark.parametrize("at", [0, 100_000, 599_999])
def test_a_change_costs_the_parts_it_lies_in(at: int) -> None:
    new = CONTENT[:at] + b"!" + CONTENT[at + 1 :]
    runs = compare(parts(new), parts(CONTENT))
    assert sent(runs) <= MOST_BYTES
    assert len(runs) <= 3
    assert rebuilt(runs, new, CONTENT) == new


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 500_000), st.integers(0, 90_000), st.binary(max_size=40)),
        max_size=4,
    )
)
def test_any_edit_is_rebuilt(edits: list[tuple[int, int, bytes]]) -> None:
    new = CONTENT
    for start, removed, added in edits:
        new = new[:start] + added + new[start + removed :]
    assert rebuilt(compare(parts(new), parts(CONTENT)), new, CONTENT) == new


def test_repeated_parts_run_on() -> None:
    base = CONTENT[:200_000] * 3
    assert compare(parts(base), parts(base)) == (
        Segment(offset=0, size_bytes=len(base), base_offset=0),
    )


def test_many_small_runs_are_sent_rather_than_copied() -> None:
    base = tuple(Part(digest=b"%06d" % n, size_bytes=5000 + n) for n in range(400))
    new = tuple(
        part if n % 2 else Part(digest=b"new%03d" % n, size_bytes=5000)
        for n, part in enumerate(base)
    )
    runs = compare(new, base)
    assert len(runs) <= MOST_SEGMENTS
    assert sum(run.size_bytes for run in runs) == sum(part.size_bytes for part in new)
    # What is left to copy is what was longest.
    copied = [run.size_bytes for run in runs if run.base_offset is not None]
    assert min(copied) >= 5000 + 400 - 2 * MOST_SEGMENTS


def test_a_list_is_no_longer_than_its_file_can_have_parts() -> None:
    nothing = Part(digest=b"000000", size_bytes=0)
    padded = dump_parts([*parts(CONTENT), *[nothing] * 200])
    assert load_parts(padded, len(CONTENT)) == ()
    assert len(dump_parts(parts(CONTENT))) <= longest_list_bytes(len(CONTENT))
    assert longest_list_bytes(1 << 60) < 8 << 20


def test_boards_cannot_make_it_slow() -> None:
    """Twenty thousand parts take seconds where anything is quadratic in them: hours for a board."""
    equal = (Part(digest=b"equal!", size_bytes=LEAST_BYTES),) * 20_000
    backwards = tuple(Part(digest=b"%06d" % n, size_bytes=5000) for n in range(20_000))
    runs = compare((*equal, *reversed(backwards)), (*equal, *backwards))
    assert len(runs) <= MOST_SEGMENTS
    assert runs[0] == Segment(offset=0, size_bytes=20_000 * LEAST_BYTES, base_offset=0)


def test_nothing_in_common_is_sent_whole() -> None:
    runs = compare(parts(CONTENT), parts(CONTENT[::-1]))
    assert runs == (Segment(offset=0, size_bytes=len(CONTENT), base_offset=None),)
