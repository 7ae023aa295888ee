"""Operators written as others that the importer takes, one small rewrite each."""

from __future__ import annotations

from collections.abc import Mapping

from builder.compiler.prepare.rewrites import (
    arithmetic,
    choosing,
    constants,
    grids,
    ngrams,
    normalization,
    quantization,
    resizing,
    signal,
)
from builder.compiler.prepare.rewriting import Rewrite, rewrite
from builder.compiler.prepare.skeleton import Skeleton

TABLE: Mapping[str, Rewrite] = {
    **arithmetic.TABLE,
    **choosing.TABLE,
    **constants.TABLE,
    **grids.TABLE,
    **ngrams.TABLE,
    **normalization.TABLE,
    **quantization.TABLE,
    **resizing.TABLE,
    **signal.TABLE,
}
"""Operator -> its rewrite."""


def rewrite_operators(skeleton: Skeleton) -> None:
    """Apply ``TABLE`` once to every node."""
    rewrite(skeleton, TABLE)
