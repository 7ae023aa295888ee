"""``python -m builder.payload JOB.json [--watch-stdin]``: perform one step and say how it went."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import assert_never

from builder.broken_environment import import_failure
from builder.errors import BoardwrightError, BuildFailed, ModelRefused
from builder.model.source import Source
from builder.package_files import templates_root
from builder.payload.limits import allow_memory, allow_run, confine, limits
from builder.payload.protocol import Speaker, die_with_parent
from builder.ports import Log
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
from builder.wire import Job, load_job

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LITTLE_BYTES = 1 << 20


def main(argv: list[str]) -> int:
    """Perform the job in the file ``argv[1]``; return 0 once its artifact is whole."""
    speaker = Speaker()
    if "--watch-stdin" in argv:
        die_with_parent()
    try:
        job = load_job(Path(argv[1]).read_text(encoding="utf-8"))
        confine(limits(job, os.cpu_count() or 1))
        perform(job, speaker.log)
    except Exception as error:  # a bug here must still reach the user as one line
        failure = _as_failure(error, Path(argv[1]).parent)
        speaker.failed(failure)
        return failure.exit_code
    speaker.done()
    return 0


def _as_failure(error: Exception, folder: Path) -> BoardwrightError:
    if isinstance(error, BoardwrightError):
        return error
    if broken := import_failure(error):
        return broken
    match error:
        case OSError():
            return io_failure(error, folder)
        case MemoryError():
            return ModelRefused("the model needs more memory than there is", reason="too-large")
    traceback.print_exc()
    return BuildFailed(
        f"the build step failed unexpectedly: {type(error).__name__}",
        reason="internal-error",
        why=" ".join(str(error).split())[:300],
        remedy="please report it with the log above",
    )


def io_failure(error: OSError, folder: Path) -> BuildFailed:
    """Return what the disk of ``folder`` refused. numpy tells of a full one without its number."""
    left_bytes = shutil.disk_usage(folder).free if folder.is_dir() else _LITTLE_BYTES
    full = error.errno in _FULL or (error.errno is None and left_bytes < _LITTLE_BYTES)
    return BuildFailed(
        "the disk is full" if full else f"{error.strerror or error}",
        reason="disk-full" if full else "io-error",
        where=str(error.filename or (folder if full else "")),
        state="nothing half-written was kept" if full else None,
        remedy="free some space (boardwright cache clean --max-size 2G)" if full else None,
    )


def perform(job: Job, log: Log) -> None:
    """Import what the step needs, and only that: TVM takes a second."""
    step = job.step
    match step:
        case Prepare():
            from builder.compiler.prepare.pipeline import prepare

            prepare(
                job.sources["model"] / step.source.files[0].path,
                binding=step.binding,
                frozen=_file_of(job, "frozen_inputs", step.frozen_inputs),
                given=_file_of(job, "check_inputs", step.check_inputs),
                seed=step.seed,
                output=job.output,
                log=log,
                limits=step.limits,
                digests={file.path: file.sha256 for file in step.source.files},
                allow_memory=allow_memory,
                allow_run=allow_run,
            )
        case Inspect():
            from builder.compiler.inspecting import inspect_model

            inspect_model(job.inputs["prepared"], output=job.output, log=log)
        case Compile():
            from builder.compiler.pipeline import compile_model

            compile_model(
                job.inputs["prepared"],
                platform=step.platform,
                cpu=step.cpu,
                templates=templates_root(),
                output=job.output,
                log=log,
                tuned=step.tuned,
            )
        case Tune():
            from builder.payload.tune import tune

            tune(step, job.inputs["prepared"], output=job.output, log=log)
        case Shortlist():
            from builder.payload.tune import shortlist

            shortlist(step, job.inputs["prepared"], output=job.output, log=log)
        case BuildRuntime():
            from builder.payload.runtime import build_runtime
            from builder.payload.tools import Zig

            zig = Zig(cache=job.zig_cache, log=log)
            build_runtime(step, templates=templates_root(), output=job.output, zig=zig)
        case Assemble():
            from builder.payload.assemble import assemble
            from builder.payload.tools import Zig

            assemble(
                step,
                inputs=job.inputs,
                templates=templates_root(),
                output=job.output,
                scratch=job.scratch,
                zig=Zig(cache=job.zig_cache, log=log),
                log=log,
            )
        case Verify():
            from builder.payload.verify import verify

            verify(
                step,
                prepared=job.inputs["prepared"],
                assembled=job.inputs["assembled"],
                output=job.output,
                log=log,
            )
        case Bisect():
            from builder.payload.bisect import bisect

            bisect(job.inputs["prepared"], job.sources["dump"], output=job.output, log=log)
        case Package():
            from builder.payload.package import package
            from builder.payload.tools import Zig

            package(
                step,
                inputs=job.inputs,
                templates=templates_root(),
                output=job.output,
                scratch=job.scratch,
                zig=Zig(cache=job.zig_cache, log=log),
                log=log,
            )
        case _:
            assert_never(step)


def _file_of(job: Job, name: str, source: Source | None) -> Path | None:
    return None if source is None else job.sources[name] / source.files[0].path


if __name__ == "__main__":
    sys.exit(main(sys.argv))
