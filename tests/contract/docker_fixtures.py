"""What the container tests share: an engine, a small image, a link to the engine that fails."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from builder.effects.docker_endpoint import engine_answers
from builder.effects.docker_engine import DockerEngine, connect
from builder.effects.trust_store import extra_certificates
from builder.model.toolchain import ImageToolchain
from builder.toolchain.image import ImageRecipe, render_image

TEMPLATES = Path(__file__).parents[2] / "templates"
BASE_IMAGE = os.environ.get("BOARDWRIGHT_BASE_IMAGE") or "boardwright/base:bookworm"
LOCKS = Path("/tmp") / f"boardwright-tests-{os.getuid()}"


def an_engine() -> DockerEngine:
    """Return the engine, or skip where there is none, or none with a base image."""
    import docker.errors

    if not engine_answers(os.environ):
        pytest.skip("no Docker engine answers: run ci/docker-engine")
    engine = connect(os.environ)
    with engine.client() as client:
        try:
            client.inspect_image(BASE_IMAGE)
        except docker.errors.ImageNotFound:
            pytest.skip(f"the engine has no image {BASE_IMAGE}: run ci/base-image")
    return engine


def a_small_toolchain() -> ImageToolchain:
    """Return the real image but for its size: of the payload's packages it has one."""
    lock = (TEMPLATES / "toolchain" / "requirements.lock").read_text(encoding="utf-8")
    start = lock.index("pyelftools==")
    recipe = ImageRecipe(
        base_image=BASE_IMAGE,
        packages=("file",),
        requirements=lock[start : lock.index("\ntyping-extensions==", start) + 1],
        ca_certificates=extra_certificates(os.environ),
    )
    return render_image(recipe, TEMPLATES)


class Link:
    """A socket in front of the engine's own, which can be cut or frozen."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self._flowing = threading.Event()
        self._flowing.set()
        self._open: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection and refuse new ones."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._flowing.set()

    def freeze(self) -> None:
        """Keep every connection open and pass nothing on."""
        self._flowing.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect("/var/run/docker.sock")
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(1 << 16):
                self._flowing.wait()
                other.sendall(piece)
            other.shutdown(socket.SHUT_WR)
