"""What the payload may take of the machine: no model, however made, gets more.

Memory is limited as RLIMIT_DATA, which counts what is really the process's own: RLIMIT_AS would
count address space that TVM, LLVM and thread stacks only reserve. Measured (x86-64, two cores):
preparing takes 160 MiB of it for a small model and 2.2 times the weights of a 1 GiB one.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from builder.errors import ModelRefused
from builder.payload.free_memory import free_bytes, own_bytes
from builder.steps import (
    Assemble,
    Bisect,
    BuildRuntime,
    Compile,
    Inspect,
    Package,
    Prepare,
    Shortlist,
    Tune,
    Verify,
)
from builder.wire import Job

_MIB, _GIB = 1 << 20, 1 << 30
_LEAST_BYTES = 704 * _MIB  # what it takes to say that there is too little
_PER_CORE = 48 * _MIB  # a thread's stack, its allocator's arena
_LOOK_CPU_S = 120
_LOOK_CPU_S_PER_GIB = 600
_WORK_CPU_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes of memory of its own (None: any), seconds of CPU, bytes of one file."""

    memory_bytes: int | None
    cpu_s: int
    file_bytes: int


def limits(job: Job, cores: int) -> Limits:
    """Return the limits of a job: the more it has to read, the more it may take."""
    input_bytes = _input_bytes(job)
    match job.step:
        case Prepare():
            # Nothing has looked into the model yet: what it may take follows from its size alone.
            return Limits(
                memory_bytes=_LEAST_BYTES + 4 * input_bytes + cores * _PER_CORE,
                cpu_s=_LOOK_CPU_S + _LOOK_CPU_S_PER_GIB * input_bytes // _GIB,
                file_bytes=_GIB + 4 * input_bytes,
            )
        case Inspect() | Compile() | Tune() | Shortlist():
            return Limits(
                memory_bytes=3 * _GIB + 6 * input_bytes + 4 * cores * _PER_CORE,
                cpu_s=_WORK_CPU_S,
                file_bytes=4 * _GIB + 4 * input_bytes,
            )
        case BuildRuntime() | Assemble() | Verify() | Package() | Bisect():
            # Others do the work: zig, qemu and javac reserve what they like, and use little.
            return Limits(
                memory_bytes=None, cpu_s=_WORK_CPU_S, file_bytes=4 * _GIB + 4 * input_bytes
            )
    assert_never(job.step)


def confine(granted: Limits) -> None:
    """Hold this process, and what it starts, to ``granted``; no core file tells of its end."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, granted.cpu_s)
    _lower(resource.RLIMIT_FSIZE, granted.file_bytes)
    if granted.memory_bytes is not None:
        reachable = _reachable_bytes(granted.memory_bytes)
        _lower(resource.RLIMIT_DATA, max(_LEAST_BYTES, min(granted.memory_bytes, reachable)))


def allow_run(least_bytes: int, most_bytes: int) -> None:
    """Grant this process that much more memory, and time: what it is about to do is known.

    Raises ``ModelRefused`` ``too-large`` where not even the least of it is free.
    """
    there_is = free_bytes()
    if there_is is not None and there_is < least_bytes:
        raise ModelRefused(
            f"one run of the model holds about {least_bytes / _GIB:.1f} GiB",
            reason="too-large",
            why=f"{there_is / _GIB:.1f} GiB of memory are free here",
            remedy="free some memory, raise the container's limit, or build on another machine",
            details={"needed": least_bytes, "free": there_is},
        )
    _, hard_s = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_least(_WORK_CPU_S, hard_s), hard_s))
    allow_memory(most_bytes)


def allow_memory(more_bytes: int) -> None:
    """Grant this process that much more memory, as far as it is free."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY:
        granted = max(soft, min(soft + more_bytes, _reachable_bytes(soft + more_bytes)))
        resource.setrlimit(resource.RLIMIT_DATA, (_least(granted, hard), hard))


def _reachable_bytes(otherwise: int) -> int:
    """Return how much this process can have in all: what it has, and what is free."""
    there_is = free_bytes()
    return otherwise if there_is is None else own_bytes() + there_is


def _input_bytes(job: Job) -> int:
    step = job.step
    if isinstance(step, Prepare):
        # The user's folder holds what it holds: only the files of the sources count.
        sources = (step.source, step.frozen_inputs, step.check_inputs)
        return sum(file.size_bytes for source in sources if source for file in source.files)
    return sum(
        (Path(place) / name).lstat().st_size
        for folder in job.inputs.values()
        for place, _, names in os.walk(folder)
        for name in names
    )


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (_least(value, hard), hard))


def _least(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
