"""Work in forked processes: TVM is loaded once, and a crash or a hang costs one case only."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to do in a folder of its own; it returns what JSON can hold."""

    number: int
    folder: Path
    work: Callable[[Path], Answer]


def perform(jobs: Sequence[Job], *, processes: int, limit_s: int) -> Iterator[tuple[int, Answer]]:
    """Yield each job's number and answer as they come; ``{"died": why}`` where there is none.

    ``limit_s`` is the CPU time that each process of a job may use.
    """
    waiting = list(reversed(jobs))
    running: dict[int, Job] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            job = waiting.pop()
            running[_start(job, limit_s)] = job
        pid, status = os.wait()
        if pid in running:
            job = running.pop(pid)
            yield job.number, _answer(job, status)


def _start(job: Job, limit_s: int) -> int:
    job.folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        # Of CPU, not of the clock: how busy the machine is must not decide what passes.
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
        _silence(job.folder / "log.txt")
        answer = job.work(job.folder)
        (job.folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _silence(log: Path) -> None:
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(opened, 1)
    os.dup2(opened, 2)


def _answer(job: Job, status: int) -> Answer:
    written = job.folder / "answer.json"
    if written.exists():
        answer: Answer = json.loads(written.read_text(encoding="utf-8"))
        return answer
    if os.WIFSIGNALED(status):
        return {"died": signal.Signals(os.WTERMSIG(status)).name}
    log = (job.folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    return {"died": log[-1][:300] if log else f"status {status}"}
