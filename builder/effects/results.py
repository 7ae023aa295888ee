"""Result files: where measurements are kept between runs."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryFile

from builder.bench.result import (
    LARGEST_RESULT_BYTES,
    Measurement,
    measurement_from_json,
    measurement_to_json,
)
from builder.effects.durable import refusals, write_atomically
from builder.errors import UsageError

SUFFIX = ".bench.json"
"""Of result files: other documents may lie in the same folder."""


def need_folder(folder: Path) -> None:
    """Make ``folder`` where results will go; raise ``BuildFailed`` where none could be written."""
    with _refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()


def save_result(measurement: Measurement, folder: Path) -> Path:
    """Write a measurement to a new file in ``folder``, made if need be; return its path."""
    with _refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = _free_path(folder, _stem(measurement))
        text = json.dumps(measurement_to_json(measurement), allow_nan=False, separators=(",", ":"))
        write_atomically(path, text.encode() + b"\n")
    return path


def load_result(path: Path) -> Measurement:
    """Read a result file. Raises ``UsageError`` ``no-result``, and ``IntegrityError``."""
    try:
        with path.open("rb") as stream:
            text = stream.read(LARGEST_RESULT_BYTES)
    except OSError as error:
        raise UsageError(
            "cannot read the result",
            reason="no-result",
            where=str(path),
            why=error.strerror,
            remedy="give a file that boardwright bench wrote",
        ) from error
    return measurement_from_json(text, where=str(path))


def find_results(place: Path) -> tuple[Path, ...]:
    """Return the result files in a folder, by name; anything else is taken for one itself."""
    return tuple(sorted(place.glob(f"*{SUFFIX}"))) if place.is_dir() else (place,)


def _refusals(folder: Path) -> AbstractContextManager[None]:
    return refusals(
        folder, unwritable="results-unwritable", remedy="choose another folder with -o or --results"
    )


def _stem(measurement: Measurement) -> str:
    subject, threads = measurement.subject, measurement.pace.threads
    time = re.sub(r"[^0-9T]", "", measurement.taken_utc.partition("+")[0])
    words = (subject.model, subject.target, measurement.board.device, f"{threads}t", time)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(words)).lstrip(".")[:180]


def _free_path(folder: Path, stem: str) -> Path:
    # Two bundles measured in turns have one time.
    path, number = folder / f"{stem}{SUFFIX}", 2
    while path.exists():
        path, number = folder / f"{stem}-{number}{SUFFIX}", number + 1
    return path
