"""What the later steps report about a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes of the shared library, of the weights beside it, of the archive, and of the runner."""

    library: int
    weights: int
    archive: int
    runner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A finished bundle: the SHA-256 of its archive, its sizes, and each audited ELF's facts."""

    sha256: str
    sizes: Sizes
    arena_bytes: int
    audit: tuple[dict[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputError:
    """How far one output is from ONNX Runtime's: errors are maxima over its elements."""

    name: str
    max_abs_error: float
    max_rel_error: float
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """What to know of one output, though it agrees with ONNX Runtime's."""

    reason: Literal[
        "declared-shape",
        "not-finite",
        "reference-unstable",
        "jump",
        "accumulation",
        "check-relaxed",
    ]
    output: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVerdict:
    """What one set of inputs came to, by its outputs or, where those differ, piece by piece.

    ``ok`` is None for a set that was not run; ``why`` says why not.
    """

    name: str
    ok: bool | None
    judged: Literal["outputs", "pieces"] | None = None
    max_abs_error: float | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether the bundle computes what ONNX Runtime does; ``ok`` None: nothing could run it.

    ``outputs`` are those for the bundle's own check data, or for the set that it fails.
    """

    ok: bool | None
    where: Literal["native", "qemu", "none"]
    max_abs_error: float | None
    outputs: tuple[OutputError, ...]
    cautions: tuple[Caution, ...] = ()
    sets: tuple[SetVerdict, ...] = ()
