"""The payload in a container: a ``builder.ports.Workshop`` that works on any engine, near or far.

Nothing is mounted from this machine. The job, its inputs and the program itself go in as one
stream, the artifact comes back as another.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from builder.effects.docker_container import Container, Ending, Frame, Limits, container
from builder.effects.docker_images import Images
from builder.effects.docker_pack import Entry, Folder, Text, folder_entries, source_entries
from builder.effects.payload_ends import died
from builder.effects.payload_events import (
    LineSplitter,
    LogLine,
    PayloadDone,
    PayloadEvent,
    PayloadFailed,
    decode_event,
    log_line,
)
from builder.errors import BoardwrightError, BuildFailed
from builder.model.source import Source
from builder.model.toolchain import ImageToolchain
from builder.package_files import package_root, templates_root
from builder.ports import Log
from builder.steps import Step
from builder.toolchain.image import PYTHON, UID, WORK
from builder.wire import Job, dump_job

PAYLOAD = (str(PYTHON), "-m", "builder.payload", str(WORK / "job.json"), "--watch-stdin")
_TAIL_LINES = 30
_SIGNALS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerWorkshop:
    """Performs steps whose toolchain is an image. ``command`` is what a container runs."""

    images: Images
    limits: Limits = field(default_factory=Limits)
    command: tuple[str, ...] = PAYLOAD
    _swept: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

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
        """Fill ``output`` as ``builder.ports.Workshop.perform`` says.

        Raises besides: ``BuildFailed`` ``engine-lost``, ``engine-refused``, ``engine-disk-full``,
        ``out-of-memory``, ``payload-died``, and as ``Images.ensure`` does; ``IntegrityError`` where
        the container leaves more than files and folders.
        """
        self._sweep_once()
        assert isinstance(step.toolchain, ImageToolchain)
        image = self.images.ensure(step.toolchain, log=log, cancel=cancel)
        engine = self.images.engine
        with container(engine, image, self.command, limits=self.limits, cancel=cancel) as place:
            place.send(_luggage(step, inputs, sources))
            _listen(step, place, log)
            place.fetch("output", output)

    def _sweep_once(self) -> None:
        # The lock is never released: whoever gets it sweeps, and nobody else in this process.
        if self._swept.acquire(blocking=False):
            self.images.engine.sweep()


def _luggage(
    step: Step, inputs: Mapping[str, Path], sources: Mapping[str, Source]
) -> Iterator[Entry]:
    """Yield what the container finds in its volume: root's files, and three folders of its own."""
    job = Job(
        step=step,
        inputs={name: Path(WORK / "inputs" / name) for name in inputs},
        sources={name: Path(WORK / "sources" / name) for name in sources},
        output=Path(WORK / "output"),
        scratch=Path(WORK / "scratch"),
        zig_cache=Path(WORK / "zig-cache"),
    )
    yield Text(path="job.json", text=dump_job(job))
    for name in ("output", "scratch", "zig-cache"):
        yield Folder(path=name, owner=UID)
    yield from folder_entries(package_root(), "package/builder")
    yield from folder_entries(templates_root(), "package/templates")
    for name, root in inputs.items():
        yield from folder_entries(root, f"inputs/{name}")
    for name, source in sources.items():
        yield from source_entries(source, f"sources/{name}")


def _listen(step: Step, place: Container, log: Log) -> None:
    """Follow the payload to its end. Raises its failure, or ``died`` for any other end."""
    tail = deque[str](maxlen=_TAIL_LINES)
    is_done, failure = False, None
    with closing(place.run()) as frames:
        for event in _events(frames):
            match event:
                case LogLine():
                    tail.append(event.text)
                    log(event.text)
                case PayloadFailed():
                    failure = event.failure
                case PayloadDone():
                    is_done = True
    ending = place.ending()
    if failure or not is_done or ending.status:
        raise _verdict(step, failure, ending, list(tail))


def _verdict(
    step: Step, failure: BoardwrightError | None, ending: Ending, tail: list[str]
) -> BoardwrightError:
    # A tool that the kernel killed makes the payload fail as well; the memory is the cause.
    if ending.out_of_memory and (failure is None or isinstance(failure, BuildFailed)):
        return BuildFailed(
            "the build ran out of memory in its container",
            reason="out-of-memory",
            why=failure.what if failure else None,
            remedy="give the Docker engine more memory, or build with --toolchain local",
            details={"log": tail},
        )
    # A container reports a signal as 128 and its number.
    status = ending.status if ending.status <= _SIGNALS else _SIGNALS - ending.status
    return failure or died(step, status, tail)


def _events(frames: Iterable[Frame]) -> Iterator[PayloadEvent]:
    said, shouted = LineSplitter(), LineSplitter()
    for output, error in frames:
        yield from map(decode_event, said.feed(output or b""))
        yield from map(log_line, shouted.feed(error or b""))
    yield from map(decode_event, said.finish())
    yield from map(log_line, shouted.finish())
