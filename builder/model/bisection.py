"""Where a bundle's numbers leave ONNX Runtime's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cause = Literal["node", "jump", "accumulation", "preparation", "unseen"]
"""``node``: one kernel is wrong on the very inputs it was given. ``jump``: each is right, and where
the numbers part, a node's result jumps. ``accumulation``: each is right, but errors add up.
``preparation``: the model was wrong before it was compiled. ``unseen``: every tensor that could be
compared is right, so what is wrong lies between or behind them, or another run computed another
thing; it proves nothing of an output that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A node some of whose elements took another side than ONNX Runtime's: so many of so many.

    They are those of the first value behind it that the bundle shows.

    ``difference`` is the largest between what was chosen and what ONNX Runtime chose, as it sees
    them; of operators that choose nothing, between the operands that decided.
    """

    node: str
    operator: str
    elements: int
    of: int
    difference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One tensor that a kernel wrote, beside what ONNX Runtime computes for the same ONNX value.

    ``max_abs_error`` is the largest; ``allowed`` is what its tolerance lets pass where it is worst,
    and ``ok`` whether every element is within its own.
    """

    value: str
    kernel: str
    nodes: tuple[str, ...]
    max_abs_error: float
    allowed: float
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """The first ONNX node that diverges, and how errors grow up to it and from it on.

    ``node`` is the weightiest of ``nodes``, which its kernel computes together; None where no node
    is to blame. ``local_error`` is the kernel's own: against ONNX Runtime on the same inputs.
    ``right``: every piece of the model, and its preparation, is proven right on its own inputs.
    ``jumps`` are the nodes where the numbers part, the first first.
    """

    cause: Cause
    node: str | None
    operator: str | None
    nodes: tuple[str, ...]
    kernel: str | None
    max_abs_error: float | None
    local_error: float | None
    compared: tuple[Compared, ...]
    right: bool = False
    jumps: tuple[Jump, ...] = ()
