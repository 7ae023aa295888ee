"""Jobs as JSON: what the host writes for the payload process, and what the payload says back.

The payload is started as ``python -m builder.payload JOB.json``. It writes one JSON object a line
to its standard output (``{"event": "log" | "failed" | "done", ...}``); anything on standard error
is a tool talking and is logged as it is. Its exit status is 0 only after ``done``.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from builder.steps import Step

_KINDS: dict[str, type[Step]] = {kind.__name__: kind for kind in get_args(Step)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One step with the places its files lie at, as the payload sees them.

    ``inputs`` are artifact folders by the names of ``steps.needs``; ``sources`` are the roots of
    the user's files (``model``, ``frozen_inputs``, ``check_inputs``, ``dump``); ``output`` is empty
    and becomes the artifact; ``scratch`` is removed afterwards; ``zig_cache`` is kept between jobs.
    """

    step: Step
    inputs: dict[str, Path]
    sources: dict[str, Path]
    output: Path
    scratch: Path
    zig_cache: Path


def dump_job(job: Job) -> str:
    """Return the job as JSON text."""
    fields = dataclasses.asdict(job)
    fields["step"] = {"kind": type(job.step).__name__, "fields": fields["step"]}
    return json.dumps(fields, default=_path_as_text)


def load_job(text: str) -> Job:
    """Rebuild a job that ``dump_job`` wrote, types checked."""
    from pydantic import TypeAdapter  # 60 ms that the no-op rebuild does not pay

    fields: dict[str, Any] = json.loads(text)
    step = fields.pop("step")
    kind = _KINDS[step["kind"]]
    return Job(
        step=TypeAdapter(kind).validate_python(step["fields"]),
        inputs={name: Path(path) for name, path in fields["inputs"].items()},
        sources={name: Path(path) for name, path in fields["sources"].items()},
        output=Path(fields["output"]),
        scratch=Path(fields["scratch"]),
        zig_cache=Path(fields["zig_cache"]),
    )


def _path_as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a job cannot hold {type(value).__name__}")
