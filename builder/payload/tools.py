"""Running zig and qemu."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import ziglang

from builder.errors import BuildFailed
from builder.ports import Log
from builder.toolchain.zig import Argv

_ZIG = Path(ziglang.__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Zig:
    """The pinned zig, with its cache kept between jobs."""

    cache: Path
    log: Log

    def run(self, argv: Argv, *, cwd: Path | None = None) -> None:
        """Run one zig command. Raises ``BuildFailed`` with the tool's own first error line."""
        caches = {"ZIG_GLOBAL_CACHE_DIR": str(self.cache), "ZIG_LOCAL_CACHE_DIR": str(self.cache)}
        command = (str(_ZIG / "zig"), *argv)
        run_compiler(f"zig {argv[0]}", command, log=self.log, variables=caches, cwd=cwd)

    def run_all(self, commands: Sequence[Argv]) -> None:
        """Run independent commands side by side, as many as there are cores."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.run, commands))

    @property
    def license(self) -> Path:
        """The license of zig, and so of its compiler-rt."""
        return _ZIG / "LICENSE"

    @property
    def license_of_musl(self) -> Path:
        """The license of the C library that static programs hold."""
        return _ZIG / "lib" / "libc" / "musl" / "COPYRIGHT"

    @property
    def compiler_rt(self) -> Path:
        """Where zig keeps the source of the functions that compilers call on their own."""
        return _ZIG / "lib" / "compiler_rt.zig"


def run_compiler(
    name: str,
    command: Sequence[str],
    *,
    log: Log,
    variables: Mapping[str, str],
    cwd: Path | None = None,
) -> None:
    """Run a compiler or linker with ``variables`` added to the environment.

    Raises ``BuildFailed`` with the tool's own first error line.
    """
    done = subprocess.run(
        command,
        env={**os.environ, **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    for line in done.stderr.splitlines():
        log(line)
    if done.returncode:
        raise BuildFailed(
            f"{name} failed ({done.returncode})",
            reason="toolchain-failed",
            where=_subject(command),
            why=_first_error(done.stderr),
        )


def _subject(command: Sequence[str]) -> str:
    return Path(command[command.index("-o") + 1]).name if "-o" in command else command[-1]


def _first_error(stderr: str) -> str | None:
    errors = [line for line in stderr.splitlines() if "error" in line] or stderr.splitlines()
    return errors[0][:300] if errors else None


def find_program(name: str) -> str | None:
    """Return the path of a qemu under either of its spellings, or None."""
    return shutil.which(f"{name}-static") or shutil.which(name)


def run_program(argv: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a bundle's program and return what it said; its exit code is the caller's business."""
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=timeout_s,
    )
