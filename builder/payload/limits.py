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
                memory_bytes=704 * _MIB + 4 * input_bytes + cores * _PER_CORE,
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
        _lower(resource.RLIMIT_DATA, granted.memory_bytes)


def allow_run(more_bytes: int) -> None:
    """Grant this process that much more memory, and time: what it is about to do is known."""
    _, hard_s = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_least(_WORK_CPU_S, hard_s), hard_s))
    allow_memory(more_bytes)


def allow_memory(more_bytes: int) -> None:
    """Grant this process that much more memory, as far as the machine has it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY:
        there_is = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        granted = max(soft, min(soft + more_bytes, there_is))
        resource.setrlimit(resource.RLIMIT_DATA, (_least(granted, hard), hard))


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
