"""Cycles of a loop by llvm-mca, which knows LLVM's scheduling models of cores."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_NEWEST, _OLDEST = 23, 16
"""Versions to look for. Before LLVM 16 there is no model of the Neoverse N1 that tells loads."""

_TURNS = 200
_PACKAGE = "llvm-19"


def find() -> Path:
    """Return the newest llvm-mca; exit and say how to install one where there is none."""
    names = [f"llvm-mca-{version}" for version in range(_NEWEST, _OLDEST - 1, -1)]
    for name in names:
        if program := shutil.which(name):
            return Path(program)
    program = shutil.which("llvm-mca")
    if program and _version(program) >= _OLDEST:
        return Path(program)
    raise SystemExit(
        f"llvm-mca of LLVM {_OLDEST} or later is missing: "
        f"apt-get install --no-install-recommends {_PACKAGE} (Debian 12 has it)"
    )


def _version(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"LLVM version (\d+)", said.stdout)
    return int(found[1]) if found else 0


def cycles(program: Path, body: Sequence[str], *, triple: str, mcpu: str) -> float:
    """Return the cycles of one turn of a loop. Raises ``ValueError`` where llvm-mca cannot."""
    command = [str(program), f"-mtriple={triple}", f"-mcpu={mcpu}", f"-iterations={_TURNS}"]
    done = subprocess.run(
        command, input="\n".join(body) + "\n", capture_output=True, text=True, check=False
    )
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    if done.returncode or not found:
        raise ValueError(f"{' '.join(command)}: {done.stderr.strip()[:500]}")
    return int(found[1]) / _TURNS
