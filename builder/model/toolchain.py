"""Where the compile payload runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ndk:
    """An Android NDK of the user's; where it lies is not identity."""

    revision: str  # 26.1.10909125
    root: Path = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalToolchain:
    """A subprocess of this environment; ``versions`` are the packages that shape the output.

    With an ``ndk``, its clang links the libraries that run against bionic.
    """

    versions: tuple[tuple[str, str], ...]
    ndk: Ndk | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextFile:
    """One text file of an image's build context, by relative POSIX path."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageToolchain:
    """A container of an image that is rendered, not named: it is its Dockerfile and context."""

    dockerfile: str
    context: tuple[ContextFile, ...]


Toolchain = LocalToolchain | ImageToolchain
