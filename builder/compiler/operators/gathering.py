"""Gather by indices that are known: slices, which move whole runs and can be looked through."""

from __future__ import annotations

import numpy as np
from tvm import relax

from builder.compiler import tensors
from builder.compiler.operators.node import Array, Node


def gather(node: Node) -> relax.Expr | None:
    """Convert Gather of a computed tensor by constant indices.

    TVM's importer works out at run time which of them are negative.
    """
    indices = node.value(1)
    if indices is None or node.value(0) is not None or indices.size == 0:
        return None
    data, extents = node.required(0), node.shape(0)
    axis = int(node.attribute("axis", 0)) % len(extents)
    if indices.min() < -extents[axis] or indices.max() >= extents[axis]:
        return None  # an error at run time, which is the importer's to tell
    wrapped = np.where(indices < 0, indices + extents[axis], indices)
    run = _run(wrapped.reshape(-1))
    if run is None:
        return relax.op.take(data, tensors.constant(wrapped), axis, "fast")
    first, end, step = run
    part = relax.op.strided_slice(data, [axis], [first], [end], [step])
    return relax.op.reshape(part, (*extents[:axis], *indices.shape, *extents[axis + 1 :]))


def _run(indices: Array) -> tuple[int, int, int] | None:
    """Return (first, end, step) of indices that are evenly spaced and rising."""
    steps = np.diff(indices)
    step = int(steps[0]) if steps.size else 1
    if step < 1 or (steps != step).any():
        return None
    return int(indices[0]), int(indices[-1]) + 1, step
