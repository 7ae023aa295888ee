"""``python -m builder.payload.imports NAME…``: import distributions, say which cannot be.

Writes JSON lines: ``{"trying": name}`` before each import, so that a crash has a name too, then
``{"fault": name, "why": text}`` where it failed, and ``{"unmet": …}`` for each requirement of an
installed distribution that the environment does not meet.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module, metadata

_MODULES = {"apache-tvm": "tvm", "apache-tvm-ffi": "tvm_ffi", "pyelftools": "elftools"}


def main(names: list[str]) -> int:
    """Import each of ``names`` and look at what each requires."""
    for name in names:
        _say({"trying": name})
        try:
            import_module(_MODULES.get(name, name.replace("-", "_")))
        except BaseException as error:  # a module may even exit
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            _say({"fault": name, "why": why})
    for unmet in unmet_requirements(("boardwright", *names)):
        _say({"unmet": unmet})
    return 0


def unmet_requirements(names: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (distribution, its version or "", what is required, who requires it), each once.

    Follows requirements down; ``names`` that are not installed are passed over.
    """
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return
    waiting = list(names)
    seen = set(waiting)
    while waiting:
        owner = waiting.pop(0)
        for text in _requires(owner):
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            name = requirement.name.lower().replace("_", "-")
            version = _version(name)
            if not version or not requirement.specifier.contains(version, prereleases=True):
                yield name, version, str(requirement.specifier), owner
            if name not in seen:
                seen.add(name)
                waiting.append(name)


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _say(event: dict[str, object]) -> None:
    sys.__stdout__ and print(json.dumps(event), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
