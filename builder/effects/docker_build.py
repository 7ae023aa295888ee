"""The engine at work on an image, and its account of it as log lines."""

from __future__ import annotations

import io
import re
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

from builder.effects.docker_engine import DockerEngine
from builder.effects.docker_failures import engine_calls
from builder.effects.docker_pack import Entry, Text, pack
from builder.effects.docker_watch import watch
from builder.effects.payload_events import log_line
from builder.errors import BuildFailed
from builder.model.toolchain import ImageToolchain
from builder.ports import Log
from builder.toolchain.image import image_tag

Said = Mapping[str, Any]

_TAIL_LINES = 30
_SILENCE_S = 3600.0
"""How long a build may say nothing; a dead engine is noticed long before, by asking it."""
_STEP = re.compile(r"Step \d+/\d+ : (.*)")


class _AccountOfFailure(Exception):
    """The engine's account ended with an error: what it was doing, what it said, the last lines."""

    def __init__(self, instruction: str, said: str, tail: list[str]) -> None:
        super().__init__(said)
        self.instruction, self.said, self.tail = instruction, said, tail


def build_image(
    engine: DockerEngine,
    toolchain: ImageToolchain,
    *,
    labels: Mapping[str, str],
    arguments: Mapping[str, str],
    log: Log,
    cancel: threading.Event,
) -> None:
    """Build and tag the image, saying each line of the engine's account.

    Raises ``BuildFailed`` ``image-build-failed`` with the Dockerfile's line and the log's tail.
    """
    try:
        with closing(_building(engine, toolchain, labels, arguments, cancel)) as account:
            _follow(account, log)
    except _AccountOfFailure as failure:
        raise BuildFailed(
            "the toolchain image cannot be built",
            reason="image-build-failed",
            where=failure.instruction or None,
            why=failure.said,
            remedy="read the log; behind a proxy or a CA of your own see docs/docker.md",
            details={"log": failure.tail},
        ) from failure


def pull_image(engine: DockerEngine, name: str, *, log: Log, cancel: threading.Event) -> None:
    """Pull ``repository[:tag]@digest``. Raises ``BuildFailed`` ``base-image-unavailable``."""
    repository, _, digest = name.partition("@")
    try:
        with closing(_pulling(engine, repository, digest, cancel)) as account:
            _follow(account, log)
    except _AccountOfFailure as failure:
        raise _unavailable(name, failure.said) from failure
    except BuildFailed as failure:
        if failure.reason != "engine-refused":
            raise
        raise _unavailable(name, failure.why) from failure


def _building(
    engine: DockerEngine,
    toolchain: ImageToolchain,
    labels: Mapping[str, str],
    arguments: Mapping[str, str],
    cancel: threading.Event,
) -> Generator[Said]:
    with engine_calls("building the image"), engine.client(_SILENCE_S) as client:
        account = client.build(
            fileobj=io.BytesIO(b"".join(pack(_context(toolchain)))),
            custom_context=True,
            tag=image_tag(toolchain),
            labels=dict(labels),
            buildargs=dict(arguments),
            use_config_proxy=True,
            rm=True,
            forcerm=True,
            decode=True,
        )
        yield from watch(account, cancel=cancel, going_on=engine.is_up)


def _pulling(
    engine: DockerEngine, repository: str, digest: str, cancel: threading.Event
) -> Generator[Said]:
    with engine_calls(f"pulling {repository}"), engine.client(_SILENCE_S) as client:
        account = client.pull(repository, tag=digest, stream=True, decode=True)
        yield from watch(account, cancel=cancel, going_on=engine.is_up)


def _follow(account: Iterable[Said], log: Log) -> None:
    """Say the engine's lines until the account ends; an account of failure is raised."""
    instruction, tail = "", deque[str](maxlen=_TAIL_LINES)
    for line in _lines(account):
        if isinstance(line, _Error):
            raise _AccountOfFailure(instruction, line, list(tail))
        if step := _STEP.fullmatch(line):
            instruction = step[1]
        tail.append(line)
        log(line)


class _Error(str):
    __slots__ = ()


def _lines(account: Iterable[Said]) -> Iterator[str]:
    for item in account:
        if "error" in item:
            yield _Error(item["error"])
        # A pull repeats its progress many times a second; only what it begins and ends is a line.
        text = item.get("stream") or ("" if item.get("progressDetail") else item.get("status", ""))
        lines = (log_line(raw).text for raw in str(text).splitlines())
        yield from (line for line in lines if line)


def _context(toolchain: ImageToolchain) -> Iterator[Entry]:
    yield Text(path="Dockerfile", text=toolchain.dockerfile)
    for file in toolchain.context:
        yield Text(path=file.path, text=file.text)


def _unavailable(name: str, why: str | None) -> BuildFailed:
    return BuildFailed(
        f"the base image {name} cannot be pulled",
        reason="base-image-unavailable",
        why=why,
        remedy="where no registry is reachable: ci/base-image, then set BOARDWRIGHT_BASE_IMAGE",
    )
