"""Files as parts whose borders follow from the content, so that most parts outlive a change.

A border lies where a rolling hash of the 64 bytes before it has its low bits zero (gear hashing, as
content-defined chunkers use it). A tensor that changes, or code that grows, changes the parts it
lies in and no others: what comes after is cut where it was cut before. The list of an object's
parts is kept beside it on the board, so that any client can tell what need not be sent.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

LEAST_BYTES = 4 << 10
AVERAGE_BYTES = 16 << 10
MOST_BYTES = 64 << 10

MOST_SEGMENTS = 64
"""Of one file: each costs the board a few processes. Beyond it, short common runs are sent."""

_HEADER = b"boardwright parts 1\n"
_DIGEST_BYTES, _SIZE_BYTES = 6, 3
_RECORD_BYTES = _DIGEST_BYTES + _SIZE_BYTES
_MOST_RECORDS = 1 << 19  # of 8 GiB in parts of the usual size


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A run of bytes: the first 48 bits of its SHA-256, and its size.

    That is enough to find equal runs; whatever is made of them is verified as a whole.
    """

    digest: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of a new file: copied from ``base`` at ``base_offset``, or sent where that is None.

    ``offset`` is where the run lies in the new file.
    """

    offset: int
    size_bytes: int
    base_offset: int | None


def split(content: memoryview) -> tuple[Part, ...]:
    """Return the parts that ``content`` consists of, in order."""
    from builder.deploy.borders import borders  # numpy: 200 ms that only what is sent pays

    return tuple(
        Part(
            digest=hashlib.sha256(content[start:end]).digest()[:_DIGEST_BYTES],
            size_bytes=end - start,
        )
        for start, end in pairwise(borders(content))
    )


def dump_parts(parts: Iterable[Part]) -> bytes:
    """Return what keeps ``parts``: a header, then 6 bytes of digest and 3 of size for each."""
    records = (part.digest + part.size_bytes.to_bytes(_SIZE_BYTES, "little") for part in parts)
    return _HEADER + b"".join(records)


def load_parts(kept: bytes, size_bytes: int) -> tuple[Part, ...]:
    """Return the parts that a board has kept, or none where they do not make up ``size_bytes``.

    A wrong list does no harm: what is made by it is verified, and sent whole where it is wrong.
    """
    records = kept.removeprefix(_HEADER)
    if (
        records == kept
        or len(records) % _RECORD_BYTES
        or len(kept) > longest_list_bytes(size_bytes)
    ):
        return ()
    parts = tuple(
        _part(records[start : start + _RECORD_BYTES])
        for start in range(0, len(records), _RECORD_BYTES)
    )
    return parts if sum(part.size_bytes for part in parts) == size_bytes else ()


def longest_list_bytes(size_bytes: int) -> int:
    """Return how long the list of the parts of a file can be that is worth reading."""
    return len(_HEADER) + _RECORD_BYTES * min(size_bytes // LEAST_BYTES + 1, _MOST_RECORDS)


def compare(new: Sequence[Part], base: Sequence[Part]) -> tuple[Segment, ...]:
    """Return the new file as runs that are copied from the base and runs that are sent."""
    runs = tuple(_joined(_matched(new, base)))
    # To send one more copy never makes more runs, so the number to send can be halved down to.
    copies = sum(run.base_offset is not None for run in runs)
    fewest = bisect_left(
        range(copies), True, key=lambda count: len(_sending(runs, count)) <= MOST_SEGMENTS
    )
    return _sending(runs, fewest)


def _part(record: bytes) -> Part:
    size = int.from_bytes(record[_DIGEST_BYTES:], "little")
    return Part(digest=record[:_DIGEST_BYTES], size_bytes=size)


def _matched(new: Sequence[Part], base: Sequence[Part]) -> Iterator[Segment]:
    # As keys, for a base may be one part over and over.
    places: dict[Part, dict[int, None]] = {}
    offset = 0
    for part in base:
        places.setdefault(part, {})[offset] = None
        offset += part.size_bytes
    offset, expected = 0, 0
    for part in new:
        known = places.get(part)
        # Of several equal parts the one that goes on from the run before makes the longer run.
        at = None if known is None else expected if expected in known else next(iter(known))
        yield Segment(offset=offset, size_bytes=part.size_bytes, base_offset=at)
        offset += part.size_bytes
        expected = offset if at is None else at + part.size_bytes


def _joined(segments: Iterable[Segment]) -> Iterator[Segment]:
    run: Segment | None = None
    for segment in segments:
        if run is not None and _goes_on(run, segment):
            run = Segment(
                offset=run.offset,
                size_bytes=run.size_bytes + segment.size_bytes,
                base_offset=run.base_offset,
            )
            continue
        if run is not None:
            yield run
        run = segment
    if run is not None:
        yield run


def _goes_on(run: Segment, segment: Segment) -> bool:
    if run.base_offset is None or segment.base_offset is None:
        return run.base_offset is segment.base_offset
    return run.base_offset + run.size_bytes == segment.base_offset


def _sending(runs: Sequence[Segment], count: int) -> tuple[Segment, ...]:
    """Return the runs with the ``count`` shortest copies sent instead."""
    copies = [run for run in runs if run.base_offset is not None]
    shortest = frozenset(sorted(copies, key=lambda run: run.size_bytes)[:count])
    return tuple(_joined(replace(r, base_offset=None) if r in shortest else r for r in runs))
