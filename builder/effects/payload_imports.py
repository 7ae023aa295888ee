"""What a Python environment cannot import, found out in a process that may die of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.effects.payload_process import payload_environ

_LONGEST_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """``owner`` needs ``wanted`` (``>=6.31``) of ``name``, and ``found`` is there, or ``""``."""

    name: str
    found: str
    wanted: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """Why distributions cannot be imported, by name, and which requirements are not met."""

    faults: Mapping[str, str]
    unmet: tuple[Unmet, ...]


def try_imports(python: str, names: Sequence[str], environ: Mapping[str, str]) -> Imports:
    """Import the distributions ``names`` with ``python``, as the payload would."""
    faults: dict[str, str] = {}
    unmet: tuple[Unmet, ...] = ()
    waiting = list(names)
    while waiting:
        events, how = _run(python, waiting, environ)
        tried = [str(event["trying"]) for event in events if "trying" in event]
        faults |= {str(event["fault"]): str(event["why"]) for event in events if "fault" in event}
        unmet = tuple(_unmet(event["unmet"]) for event in events if "unmet" in event)
        if not how:
            break
        faults.setdefault(tried[-1] if tried else waiting[0], how)
        waiting = waiting[max(len(tried), 1) :]
    return Imports(faults=faults, unmet=unmet)


def _run(
    python: str, names: Sequence[str], environ: Mapping[str, str]
) -> tuple[list[dict[str, Any]], str]:
    """Return what was said, and how the process failed: ``""`` where it did not."""
    argv = (python, "-P", "-m", "builder.payload.imports", *names)
    try:
        done = subprocess.run(
            argv,
            env=payload_environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return list(_events(error.stdout or b"")), f"did not end within {_LONGEST_S} s"
    except OSError as error:
        return [], f"python cannot be started: {error.strerror}"
    how = f"the process ended with status {done.returncode}" if done.returncode else ""
    return list(_events(done.stdout)), how


def _events(said: bytes) -> Iterator[dict[str, Any]]:
    for line in said.decode("utf-8", "replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # libraries print when they are imported
        if isinstance(event, dict):
            yield event


def _unmet(told: Sequence[str]) -> Unmet:
    name, found, wanted, owner = told
    return Unmet(name=name, found=found, wanted=wanted, owner=owner)
