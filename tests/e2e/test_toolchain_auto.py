"""``--toolchain auto`` where an engine's socket answers and no image can be had from it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.docker_fixtures import an_engine

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "ci" / "models" / "digits.onnx"
TARGET = "x86_64-linux"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A folder to build in, with a cache of its own; ``docker`` are the variables of an engine."""

    folder: Path
    docker: dict[str, str]

    def boardwright(
        self, *arguments: str | Path, docker: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], str]:
        """Return the JSON document of a verb and what it said on standard error."""
        engine = self.docker if docker is None else docker
        done = subprocess.run(
            (sys.executable, "-m", "builder", *map(str, arguments), "--json"),
            cwd=self.folder,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")},
                "PYTHONPATH": str(ROOT),
                "BOARDWRIGHT_CACHE_DIR": str(self.folder / "cache"),
                **engine,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        document: dict[str, Any] = json.loads(done.stdout)
        return document, done.stderr

    def build(self, *options: str, docker: dict[str, str] | None = None) -> tuple[str, str]:
        """Build; return whether anything had to run (``hit`` or ``miss``), and what was said."""
        document, said = self.boardwright("build", DIGITS, "-t", TARGET, *options, docker=docker)
        assert document["status"] == "ok", document["error"]
        return document["targets"][0]["cache"], said


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of an engine whose socket takes connections and answers nothing."""
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        threading.Thread(target=_hang_up, args=(listening,), daemon=True).start()
        yield {"DOCKER_HOST": f"unix://{path}"}
        listening.shutdown(socket.SHUT_RDWR)


def _hang_up(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            listening.accept()[0].close()


@pytest.fixture
def desk(tmp_path: Path, mute: dict[str, str]) -> Desk:
    return Desk(folder=tmp_path, docker=mute)


def test_it_builds_locally_and_says_so(desk: Desk) -> None:
    cache, said = desk.build()
    assert cache == "miss"
    assert "building with this Python environment instead" in said


def test_what_is_built_already_is_not_built_again_and_asks_no_engine(desk: Desk) -> None:
    desk.build("--toolchain", "local")
    for engine in (desk.docker, {"DOCKER_HOST": f"unix://{desk.folder}/absent.sock"}):
        assert desk.build(docker=engine) == ("hit", "")


def test_docker_is_no_wish_where_it_is_asked_for(desk: Desk) -> None:
    document, _ = desk.boardwright("build", DIGITS, "-t", TARGET, "--toolchain", "docker")
    assert document["targets"][0]["error"]["reason"] == "no-docker-engine"


def test_doctor_says_that_no_image_can_be_had(desk: Desk) -> None:
    document, _ = desk.boardwright("doctor")
    states = {check["name"]: check["state"] for check in document["checks"]}
    assert states["toolchain images"] == "absent"


@pytest.mark.docker
def test_a_real_engine_without_a_base_image_is_passed_over(desk: Desk) -> None:
    an_engine()
    engine = {"BOARDWRIGHT_BASE_IMAGE": "boardwright/no-such-base:none"}
    cache, said = desk.build(docker=engine)
    assert cache == "miss"
    assert "boardwright/no-such-base:none" in said
