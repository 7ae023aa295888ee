"""The content of a records file: JSON that people can read, and that strangers may have written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from builder.errors import UsageError
from builder.model.tuning import TuningRecord

FORMAT = 1
"""Of a records file. A reader refuses any other."""

LARGEST_BYTES = 16 << 20

_LARGEST_EXTENT = 1 << 31
_REMEDY = "remove the file, or mend it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    format: int
    records: tuple[TuningRecord, ...]


def parse(text: bytes, where: str) -> tuple[TuningRecord, ...]:
    """Return the records of a file; ``where`` names it in failures.

    Raises ``UsageError``: ``records-format`` for a file of another format, ``records-malformed``
    for anything that is not what ``render`` writes.
    """
    from pydantic import TypeAdapter, ValidationError  # 60 ms that builds without records save

    if len(text) > LARGEST_BYTES:
        raise _malformed(where, f"it is larger than {LARGEST_BYTES >> 20} MiB")
    try:
        document = TypeAdapter(_Document).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _malformed(where, f"{place or 'the file'}: {first['msg']}") from None
    if document.format != FORMAT:
        raise UsageError(
            f"tuning records of format {document.format}, but this program reads format {FORMAT}",
            reason="records-format",
            where=where,
            remedy="use the boardwright that wrote them, or tune again",
        )
    for record in document.records:
        _require_sense(record, where)
    return document.records


def render(records: Iterable[TuningRecord]) -> bytes:
    """Return the content of a file, a record a line, in an order of its own."""
    ordered = sorted(records, key=lambda one: (one.description, one.kernel, one.cpu, one.compiler))
    lines = ",\n ".join(json.dumps(asdict(record), allow_nan=False) for record in ordered)
    return f'{{"format": {FORMAT}, "records": [\n {lines}\n]}}\n'.encode()


def record_from(fields: Mapping[str, Any], *, compiler: str, machine: str) -> TuningRecord | None:
    """Return the record of what the payload told, None where it told something else."""
    from pydantic import TypeAdapter, ValidationError

    text = json.dumps({**fields, "compiler": compiler, "machine": machine})
    try:
        record = TypeAdapter(TuningRecord).validate_json(text, strict=True)
    except ValidationError:
        return None
    return record if _makes_sense(record) else None


def merged(old: Iterable[TuningRecord], new: Iterable[TuningRecord]) -> tuple[TuningRecord, ...]:
    """Return both together; of two about one kernel, CPU and compiler the new one counts."""
    return tuple({_identity(record): record for record in (*old, *new)}.values())


def _identity(record: TuningRecord) -> tuple[str, str, str]:
    return record.kernel, record.cpu, record.compiler


def _require_sense(record: TuningRecord, where: str) -> None:
    if not _makes_sense(record):
        raise _malformed(where, "a tile has positive extents, a time is positive")


def _makes_sense(record: TuningRecord) -> bool:
    times = (record.tile_us, record.usual_us)
    tiles = (record.tile, record.usual)
    return all(math.isfinite(time) and time >= 0 for time in times) and all(
        tile and all(0 < extent < _LARGEST_EXTENT for extent in tile) for tile in tiles
    )


def _malformed(where: str, why: str) -> UsageError:
    return UsageError(
        "these are no tuning records",
        reason="records-malformed",
        where=where,
        why=why[:200],
        remedy=_REMEDY,
    )
