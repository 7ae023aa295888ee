"""Boardwright as a user runs it in a folder, with the boards of ``ci/boards`` within reach."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.boards.simulated import BoardSet
from tests.processes import killed_at_the_end


class Project:
    """A folder with a model and nothing else, and boardwright in it."""

    def __init__(self, folder: Path, boards: BoardSet, cache: Path) -> None:
        self.folder = folder
        self.environ = boards.environ | {"BOARDWRIGHT_CACHE_DIR": str(cache), "NO_COLOR": "1"}

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "builder", *arguments),
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def json(self, *arguments: str, status: int = 0) -> Any:
        done = self.call(*arguments, "--json")
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        command = (sys.executable, "-m", "builder", *arguments)
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environ, stdout=pipe, stderr=pipe, text=True
        )
        with killed_at_the_end(process):
            yield process
