"""What is to be built: the command line over ``boardwright.yaml`` over the defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from builder.effects.parsed import ParsedValues
from builder.effects.trust import Trust
from builder.errors import UsageError
from builder.matrix import decode
from builder.model.binding import UNBOUND, Binding
from builder.model.model_limits import DEFAULT_LIMITS, ModelLimits
from builder.model.project import Project
from builder.project import FILENAME, parse

DEFAULT_OUT = "dist"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line says; None or empty where it says nothing."""

    model: Path | None = None
    name: str | None = None
    patterns: tuple[str, ...] = ()
    binding: Binding = UNBOUND
    frozen_file: Path | None = None
    out: Path | None = None
    inputs: Path | None = None
    limits: ModelLimits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is to be built: ``name`` is safe for a folder, ``patterns`` are names or globs.

    ``project`` is the folder of the project's file, None where there is none.
    """

    model: Path
    name: str
    patterns: tuple[str, ...]
    binding: Binding
    frozen_file: Path | None
    out: Path
    inputs: Path | None
    project: Path | None
    limits: ModelLimits = DEFAULT_LIMITS


def find_project(start: Path, trust: Trust) -> Path | None:
    """Return the nearest ``boardwright.yaml`` in ``start`` or a folder above it.

    Raises ``UsageError`` ``foreign-owner`` where another user owns it or the folder.
    """
    found = next((f for p in (start, *start.parents) if (f := p / FILENAME).is_file()), None)
    if found is not None:
        trust.require(found, found.parent)
    return found


def read_project(file: Path, parsed: ParsedValues) -> Project:
    """Return the project of ``file``. Raises ``UsageError`` with the position of what is wrong."""
    try:
        text = decode(file.read_bytes(), str(file))
    except OSError as error:
        raise UsageError(
            "cannot read the project file",
            reason="unreadable-project",
            where=str(file),
            why=error.strerror,
        ) from None
    return parsed.get(Project, text, lambda: parse(text, str(file)))


def target_folders_of(start: Path, parsed: ParsedValues, trust: Trust) -> tuple[Path, ...]:
    """Return the folder of targets that the project around ``start`` names, if there is one.

    Raises as ``find_project`` and ``read_project`` do.
    """
    file = find_project(start, trust)
    folder = read_project(file, parsed).targets_dir if file else None
    return (file.parent / folder,) if file and folder else ()


def settle(
    wishes: Wishes, project: Project | None, root: Path, *, otherwise: tuple[str, ...] = ()
) -> Settings:
    """Return what to build; ``root`` is the project file's folder.

    ``otherwise`` are the targets where neither the command line nor the project names any.

    A project's name, binding and inputs are about its own model: for another model that the command
    line names, only its targets and its output folder count. Raises ``UsageError``: ``no-model``,
    ``no-target``, ``bad-name``.
    """
    own = project if project and _is_own_model(wishes, project, root) else None
    model = wishes.model or (root / own.model if own else None)
    if model is None:
        raise _no_model()
    patterns = wishes.patterns or (project.targets if project else ()) or otherwise
    if not patterns:
        raise _no_target()
    return Settings(
        model=model,
        name=checked_name(wishes.name or (own and own.name) or safe_name(model)),
        patterns=patterns,
        binding=wishes.binding.over(own.binding if own else UNBOUND),
        frozen_file=wishes.frozen_file
        or (root / own.frozen_file if own and own.frozen_file else None),
        out=wishes.out or (root / project.out if project else Path(DEFAULT_OUT)),
        inputs=wishes.inputs or (root / own.inputs if own and own.inputs else None),
        project=root if project else None,
        limits=wishes.limits,
    )


def safe_name(model: Path) -> str:
    """Return a name for the bundles of ``model`` that is safe on any disk."""
    stem = model.name.lower().removesuffix(".onnx")
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("._-")[:64].rstrip("._-") or "model"


def checked_name(name: str) -> str:
    """Return ``name`` if bundles can be called so. Raises ``UsageError`` ``bad-name``."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a bundle",
            reason="bad-name",
            why="use up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit",
            remedy="choose another with --name",
        )
    return name


def _is_own_model(wishes: Wishes, project: Project, root: Path) -> bool:
    return wishes.model is None or wishes.model.resolve() == (root / project.model).resolve()


def _no_model() -> UsageError:
    return UsageError(
        "no model to build",
        reason="no-model",
        why=f"neither the command line nor a {FILENAME} names one",
        remedy="run: boardwright build MODEL.onnx, or boardwright init MODEL.onnx",
    )


def _no_target() -> UsageError:
    return UsageError(
        "no target to build for",
        reason="no-target",
        remedy="add --target NAME or --all; see: boardwright targets list",
    )
