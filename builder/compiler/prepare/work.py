"""What a node costs to compute, estimated from shapes alone: for limits, not for reports.

``builder.compiler.flops`` counts what a report shows, where moving data is free. Here every element
that is read or written counts, and operators whose work is more than their elements have a formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import onnx

from builder.compiler.flops import Shapes, flops

Formula = Callable[[onnx.NodeProto, Shapes], int]


def work(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Return the operations of one run of ``node`` at least; values without a shape count nothing.

    Attributes may be anything: what is no number of the right kind counts as one.
    """
    touched = elements(node.input, shapes) + elements(node.output, shapes)
    formula = _FORMULAS.get(node.op_type)
    counted = formula(node, shapes) if formula else _counted(node, shapes)
    return max(counted, touched)


def elements(names: Sequence[str], shapes: Shapes) -> int:
    """Return how many elements the values with these names have together."""
    return sum(math.prod(shapes[name]) for name in names if name in shapes)


def _counted(node: onnx.NodeProto, shapes: Shapes) -> int:
    try:
        return flops(node, shapes)
    except (IndexError, UnicodeDecodeError):  # nobody has looked at inputs and attributes yet
        return 0


def _shape(node: onnx.NodeProto, position: int, shapes: Shapes) -> tuple[int, ...]:
    return shapes.get(node.input[position], ()) if position < len(node.input) else ()


def _integer(node: onnx.NodeProto, name: str, default: int = 1) -> int:
    return next((a.i for a in node.attribute if a.name == name), default)


def _einsum(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count the product of all extents, for each operand: those behind the dots are broadcast."""
    equation = next((a.s for a in node.attribute if a.name == "equation"), b"")
    extents: dict[int, int] = {}
    dotted = 1
    terms = equation.replace(b" ", b"").split(b"->")[0].split(b",")
    for term, name in zip(terms, node.input, strict=False):
        shape = shapes.get(name, ())
        head, _, tail = term.partition(b"...")
        front, back = len(head), len(shape) - len(tail)
        extents |= dict(zip((*head, *tail), (*shape[:front], *shape[back:]), strict=False))
        dotted = max(dotted, math.prod(shape[front:back]))
    return len(terms) * dotted * math.prod(extents.values())


def _determinant(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count the elimination of [..., n, n]: each of n rows is taken from all that are left."""
    shape = _shape(node, 0, shapes)
    return math.prod(shape) * (shape[-1] if shape else 1)


def _transform(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count a Fourier transform as a product with its matrix, which its rewrite makes of it."""
    shape = _shape(node, 0, shapes)
    return 4 * elements(node.output, shapes) * max(shape[1:], default=1)


def _frames(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count STFT [batch, frames, bins, 2]: each bin of a frame sums over its window."""
    window = max(_shape(node, 2, shapes) or _shape(node, 0, shapes)[1:], default=1)
    return 4 * elements(node.output, shapes) * window


def _local_response(node: onnx.NodeProto, shapes: Shapes) -> int:
    return elements(node.output, shapes) * max(1, _integer(node, "size"))


def _sampled(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count sixteen neighbours an element: what cubic interpolation in two dimensions takes."""
    return 16 * elements(node.output, shapes)


def _region_pool(node: onnx.NodeProto, shapes: Shapes) -> int:
    ratio = max(1, _integer(node, "sampling_ratio", 0))
    return 8 * elements(node.output, shapes) * ratio * ratio


def _deformable(node: onnx.NodeProto, shapes: Shapes) -> int:
    return 8 * elements(node.output, shapes) * math.prod(_shape(node, 1, shapes)[1:])


def _suppression(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count boxes [batches, boxes, 4] compared in pairs, once for each class."""
    boxes, scores = _shape(node, 0, shapes), _shape(node, 1, shapes)
    return 10 * (boxes[1] if len(boxes) > 1 else 1) * math.prod(scores)


def _n_grams(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count every window of each length and skip against the pool, as the rewrite compares them."""
    pool = next((len(a.ints) or len(a.strings) for a in node.attribute if "pool" in a.name), 1)
    skips = max(0, _integer(node, "max_skip_count", 0)) + 1
    return elements(node.input, shapes) * skips * max(1, pool)


_FORMULAS: dict[str, Formula] = {
    "DFT": _transform,
    "DeformConv": _deformable,
    "Det": _determinant,
    "Einsum": _einsum,
    "GridSample": _sampled,
    "LRN": _local_response,
    "MaxRoiPool": _region_pool,
    "NonMaxSuppression": _suppression,
    "Resize": _sampled,
    "RoiAlign": _region_pool,
    "STFT": _frames,
    "TfIdfVectorizer": _n_grams,
}
