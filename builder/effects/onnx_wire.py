"""What protobuf's wire format alone says of a file, before or instead of protobuf itself.

A message is a series of tags (field number and wire type), each with its content; see
protobuf.dev, "Encoding". Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

MAX_DEPTH = 32
"""Graphs within graphs: about where protobuf's own limit of 100 nested messages lies."""

MOST_FIELDS = 3_000_000
"""Of one model: protobuf makes some 100 bytes of what may be two. Large exports have a million.

A lone number counts half: protobuf keeps it in 8 bytes, and forests of trees have millions.
"""

_SMALL_BYTES = 4096
_VARINT, _LENGTH_DELIMITED = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_INNER = {
    "model": {7: "graph"},
    "graph": {1: "node"},
    "node": {5: "attribute"},
    "attribute": {6: "graph", 11: "graph"},
}
_MOST_TAGS = 1_000_000


def ends_early(path: Path) -> bool:
    """Say whether the file is a ModelProto as far as it goes, but goes not far enough."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        while (tag := _varint(file)) is not None:
            if tag >> 3 not in _MODEL_FIELDS or tag & 7 not in (_VARINT, _LENGTH_DELIMITED):
                return False
            value = _varint(file)
            if value is None:
                return True
            if tag & 7 == _LENGTH_DELIMITED:
                if file.tell() + value > size_bytes:
                    return True
                file.seek(value, os.SEEK_CUR)
    return False


def is_too_deep(path: Path) -> bool:
    """Say whether the file is a ModelProto with more than ``MAX_DEPTH`` graphs in each other."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _deepest(content) > MAX_DEPTH


def has_too_many_fields(path: Path) -> bool:
    """Say whether the file holds more than ``MOST_FIELDS`` fields, messages in messages included.

    Two bytes are the least that a field takes; where that does not settle it, all are counted.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        counted, at_most = _fields(content, small_bytes=_SMALL_BYTES)
        if counted <= MOST_FIELDS < at_most:
            counted, _ = _fields(content, small_bytes=0)
        return counted > MOST_FIELDS


def _fields(content: mmap.mmap, *, small_bytes: int) -> tuple[float, float]:
    """Count fields but for those of small messages, and how many there are with them at most."""
    import onnx

    counted = unseen = 0.0
    waiting = [(0, len(content), onnx.ModelProto.DESCRIPTOR)]
    while waiting and counted <= MOST_FIELDS:
        at, end, kind = waiting.pop()
        messages = _messages(kind)
        while at < end and counted <= MOST_FIELDS:
            tag, at = _varint_at(content, at, end)
            counted += 1 if tag & 7 == _LENGTH_DELIMITED else 0.5
            if tag & 7 == _LENGTH_DELIMITED:
                length, at = _varint_at(content, at, end)
                inner = messages.get(tag >> 3)
                if inner is not None and length > small_bytes:
                    waiting.append((at, min(at + length, end), inner))
                elif inner is not None:
                    unseen += length // 2
                at += length
            elif tag & 7 == _VARINT:
                _, at = _varint_at(content, at, end)
            else:
                at += _FIXED_BYTES.get(tag & 7, end)  # there is no sense behind any other type
    return counted, counted + unseen


@cache
def _messages(kind: Any) -> Mapping[int, Any]:
    """Return the types of the fields of a message that are messages themselves, by number."""
    return {field.number: field.message_type for field in kind.fields if field.message_type}


def _varint_at(content: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """Return the number at a position, and the position behind it."""
    if at < end and content[at] < 0x80:  # most are so short
        return content[at], at + 1
    value = shift = 0
    while at < end:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift == 63:
            break
        shift += 7
    return value, at


def _deepest(content: mmap.mmap) -> int:
    """Walk into every graph, in the order of the file, until one lies too deep or sense ends."""
    open_messages = [("model", len(content))]
    depth = deepest = 0
    for _ in range(_MOST_TAGS):
        while open_messages and content.tell() >= open_messages[-1][1]:
            depth -= open_messages.pop()[0] == "graph"
        if not open_messages or deepest > MAX_DEPTH:
            break
        tag, value = _varint(content), _varint(content)
        if tag is None or value is None or tag & 7 not in (_VARINT, _LENGTH_DELIMITED):
            break
        inner = _INNER[open_messages[-1][0]].get(tag >> 3)
        end = content.tell() + value
        if tag & 7 == _VARINT:
            continue
        if end > open_messages[-1][1]:
            break
        if inner is None:
            content.seek(end)
            continue
        open_messages.append((inner, end))
        depth += inner == "graph"
        deepest = max(deepest, depth)
    return deepest


def _varint(file: BinaryIO | mmap.mmap) -> int | None:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            break
    return value
