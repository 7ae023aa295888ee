"""The workshop that needs no engine: the payload as a process of this Python environment."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from builder.effects.durable import make_private, refusals, remove_tree
from builder.effects.eviction import ZIG
from builder.effects.in_use import InUse
from builder.effects.ownership import owned_folder
from builder.effects.payload_ends import died
from builder.effects.payload_events import (
    LogLine,
    PayloadDone,
    PayloadFailed,
    decode_event,
    log_line,
)
from builder.effects.payload_process import PayloadProcess, Stream, payload_environ
from builder.errors import BoardwrightError, BuildFailed, Interrupted
from builder.model.source import Source
from builder.ports import Log
from builder.steps import Step
from builder.wire import Job, dump_job

_TAIL_LINES = 20


class LocalWorkshop:
    """``builder.ports.Workshop`` on this machine, with ``python`` as its interpreter.

    Scratch and zig's cache lie below ``cache_root``. Of ``environ`` only what programs need to be
    found and threads to be counted is passed on. ``command`` stands in for the payload's argv;
    the job file and ``--watch-stdin`` are appended to it.
    """

    def __init__(
        self,
        python: str,
        cache_root: Path,
        environ: Mapping[str, str],
        command: Sequence[str] | None = None,
    ) -> None:
        self._command = tuple(command or (python, "-P", "-m", "builder.payload"))
        self._tmp = cache_root.absolute() / "tmp"
        self._zig = cache_root.absolute() / ZIG
        self._in_use = InUse(cache_root.absolute() / "locks")
        self._environ = payload_environ(environ)

    def perform(
        self,
        step: Step,
        *,
        inputs: Mapping[str, Path],
        sources: Mapping[str, Source],
        output: Path,
        log: Log,
        cancel: threading.Event,
    ) -> None:
        """Fill ``output`` as ``builder.ports.Workshop`` says; empty it again on any failure.

        A payload that ends without a word raises ``payload_ends.died``, with the last lines it
        wrote in ``details["log"]``.
        """
        try:
            with self._scratch() as scratch:
                job = Job(
                    step=step,
                    inputs={name: path.absolute() for name, path in inputs.items()},
                    sources={name: source.root.absolute() for name, source in sources.items()},
                    output=output.absolute(),
                    scratch=scratch / "work",
                    zig_cache=self._zig,
                )
                self._perform(job, scratch, log, cancel)
        except BaseException:
            _empty(output)
            raise

    def _perform(self, job: Job, scratch: Path, log: Log, cancel: threading.Event) -> None:
        with self._started(job, scratch) as process:
            heard = _Heard(log=log)
            heard.listen(process.lines(cancel))
            status = process.status(cancel)
            if status is None:
                process.terminate()
                raise _interrupted()
        if heard.failure is not None:
            raise heard.failure
        if status or not heard.done:
            raise died(job.step, status, heard.tail)

    def _scratch(self) -> AbstractContextManager[Path]:
        with self._refusals():
            make_private(self._tmp.parent)
            self._tmp.mkdir(exist_ok=True)
            self._in_use.note(ZIG)
            self._zig.mkdir(exist_ok=True)
            os.utime(self._zig)
        return owned_folder(self._tmp)

    def _started(self, job: Job, scratch: Path) -> PayloadProcess:
        job_file = scratch / "job.json"
        with self._refusals():
            job.scratch.mkdir()
            job_file.write_text(dump_job(job), encoding="utf-8")
        try:
            return PayloadProcess(
                (*self._command, str(job_file), "--watch-stdin"),
                environ={**self._environ, "TMPDIR": str(job.scratch)},
                folder=job.scratch,
            )
        except OSError as error:
            raise BuildFailed(
                f"the compiler process cannot be started: {error.strerror or error}",
                reason="payload-unstartable",
                where=self._command[0],
                remedy="see what is missing: boardwright doctor",
            ) from error

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals(
            self._tmp.parent,
            unwritable="cache-unwritable",
            remedy="make the cache folder writable, or choose another with BOARDWRIGHT_CACHE_DIR",
        )


@dataclass(slots=True, kw_only=True)
class _Heard:
    """What a payload has said so far."""

    log: Log
    failure: BoardwrightError | None = None
    done: bool = False
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))

    def listen(self, lines: Iterable[tuple[Stream, str]]) -> None:
        for stream, line in lines:
            match decode_event(line) if stream == "stdout" else log_line(line):
                case LogLine(text=text):
                    self.tail.append(text)
                    self.log(text)
                case PayloadFailed(failure=failure):
                    self.failure = failure
                case PayloadDone():
                    self.done = True


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        remove_tree(path)


def _interrupted() -> Interrupted:
    return Interrupted(
        "stopped",
        reason="interrupted",
        state="nothing was kept of this step",
        remedy="run the same command again to go on from there",
    )
