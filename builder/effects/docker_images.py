"""The images an engine has, and how it comes to have the one that a toolchain needs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from builder.effects.docker_build import build_image, pull_image
from builder.effects.docker_engine import DockerEngine
from builder.effects.docker_failures import engine_calls
from builder.effects.docker_watch import interrupted
from builder.effects.durable import make_private
from builder.errors import UsageError
from builder.model.toolchain import ImageToolchain
from builder.ports import Log
from builder.toolchain.image import base_image, image_key, image_tag

KEY_LABEL = "boardwright.key"
_LOCK_TICK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The images of one engine.

    ``locks`` is a folder of this machine: what one of its processes builds, the others wait for.
    ``build_arguments`` are what an image build must know of the network
    (``builder.toolchain.image.build_arguments``).
    """

    engine: DockerEngine
    locks: Path
    build_arguments: Mapping[str, str]

    def ensure(self, toolchain: ImageToolchain, *, log: Log, cancel: threading.Event) -> str:
        """Return the id of the toolchain's image, built now if the engine lacks it.

        Raises ``UsageError`` ``base-image-missing``; ``BuildFailed`` ``image-build-failed``,
        ``base-image-unavailable``, ``engine-lost``.
        """
        if image := self._find(toolchain):
            return image
        with _held(self.locks / f"image-{image_key(toolchain)}.lock", cancel):
            return self._find(toolchain) or self._build(toolchain, log, cancel)

    def why_none(self, base: str) -> str | None:
        """Return why no image can be made from ``base``, asking its registry; None where one can.

        Nothing is pulled. Raises ``BuildFailed`` ``engine-lost``.
        """
        import docker.errors

        if self._inspect(base):
            return None
        if "@" not in base:
            return f"the engine has no image {base}"
        with engine_calls(f"asking for {base}"), self.engine.client() as client:
            try:
                client.inspect_distribution(base)
            except docker.errors.APIError as error:
                return f"{base.partition('@')[0]} cannot be pulled: {error.explanation}"
        return None

    def _build(self, toolchain: ImageToolchain, log: Log, cancel: threading.Event) -> str:
        self._ensure_base(base_image(toolchain), log, cancel)
        log(f"building the image {image_tag(toolchain)}")
        build_image(
            self.engine,
            toolchain,
            labels={KEY_LABEL: image_key(toolchain)},
            arguments=self.build_arguments,
            log=log,
            cancel=cancel,
        )
        image = self._find(toolchain)
        assert image, "a build that succeeded has tagged and labelled its image"
        return image

    def _ensure_base(self, name: str, log: Log, cancel: threading.Event) -> None:
        if self._inspect(name):
            return
        if "@" not in name:
            raise UsageError(
                f"the engine has no image {name}, and a name without a digest is not pulled",
                reason="base-image-missing",
                remedy="make it (ci/base-image), or name another in BOARDWRIGHT_BASE_IMAGE",
            )
        log(f"pulling {name}")
        pull_image(self.engine, name, log=log, cancel=cancel)

    def _find(self, toolchain: ImageToolchain) -> str | None:
        image = self._inspect(image_tag(toolchain))
        if image is None:
            return None
        labels = image["Config"].get("Labels") or {}
        return str(image["Id"]) if labels.get(KEY_LABEL) == image_key(toolchain) else None

    def _inspect(self, name: str) -> dict[str, Any] | None:
        import docker.errors

        with engine_calls(f"looking for the image {name}"), self.engine.client() as client:
            try:
                image: dict[str, Any] = client.inspect_image(name)
            except docker.errors.ImageNotFound:
                return None
        return image


@contextmanager
def _held(path: Path, cancel: threading.Event) -> Iterator[None]:
    """Hold a lock file, across processes and threads; the system frees it when its holder dies."""
    make_private(path.parent.parent)
    path.parent.mkdir(exist_ok=True)
    lock = FileLock(path, thread_local=False)
    while not lock.is_locked:
        if cancel.is_set():
            raise interrupted()
        try:
            lock.acquire(timeout=_LOCK_TICK_S)
        except Timeout:
            continue
    try:
        yield
    finally:
        lock.release()
