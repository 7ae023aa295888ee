"""Floats that become addresses: whatever they are, infinite or NaN, they end inside an array."""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

from builder.compiler.operators.node import Node

_OPAQUE = 8
"""TVM's pattern of an operator that nothing is fused with."""


def between(value: Any, low: float, high: float, dtype: str) -> Any:
    """Return a float moved into [low, high]; NaN becomes ``low``."""
    least, most = tirx.const(low, dtype), tirx.const(high, dtype)
    raised = tirx.Select(value > least, value, least)
    return tirx.Select(raised < most, raised, most)


_METHODS = {"linear": "bilinear", "cubic": "bicubic"}
_LAYOUTS = {4: "NCHW", 5: "NCDHW"}


def grid_sample(node: Node) -> relax.Expr | None:
    """Convert GridSample: TVM's own, over coordinates that it can have."""
    rank = len(node.shape(0))
    method = node.attribute("mode", "linear")
    if rank not in _LAYOUTS or (rank == 5 and method == "cubic"):
        return None
    grid = node.builder.emit(_known_places(node, max(node.shape(0)[2:])))
    return relax.op.image.grid_sample(
        node.required(0),
        relax.op.permute_dims(grid, [0, rank - 1, *range(1, rank - 1)]),
        method=_METHODS.get(method, method),
        layout=_LAYOUTS[rank],
        padding_mode=node.attribute("padding_mode", "zeros"),
        align_corners=bool(node.attribute("align_corners", 0)),
    )


def _known_places(node: Node, extent: int) -> relax.Expr:
    """Return the grid with -1 for what is no number of int64, as ONNX Runtime takes it.

    The others stop farther out than float32 tells elements apart.
    """
    most = float(1 << 30) / extent

    def compute(grid: te.Tensor) -> te.Tensor:
        def element(*at: Any) -> Any:
            place = grid[at]
            known = tirx.abs(place) < tirx.const(float(1 << 61), grid.dtype)
            held = between(place, -most, most, grid.dtype)
            return tirx.Select(known, held, tirx.const(-1, grid.dtype))

        return te.compute(grid.shape, element, name="places")

    # By itself: inlined, it would be computed for each of the elements around each place.
    attributes = {"op_pattern": _OPAQUE}
    return node.builder.call_te(
        compute, node.required(1), primfunc_name_hint="places", primfunc_attrs=attributes
    )
