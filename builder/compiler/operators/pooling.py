"""MaxPool that also tells where each maximum was."""

from __future__ import annotations

import itertools
import math
from typing import Any

from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler.operators import loops
from builder.compiler.operators.node import Node, dtype_of
from builder.compiler.operators.windows import window
from builder.compiler.tensors import te_shape


def max_pool(node: Node) -> relax.Expr | None:
    """Convert MaxPool with its second output: positions in the flattened input."""
    if node.attributes["tvm_custom"]["num_outputs"] < 2:
        return None
    shape, dtype = node.shape(0), dtype_of(node.required(0))
    found = window(node, shape[2:], node.attribute("kernel_shape"))
    by_column = bool(node.attribute("storage_order", 0))
    result = [*shape[:2], *found.result]

    def compute(data: te.Tensor) -> Any:
        def body(source: Any, values: Any, indices: Any) -> None:
            with T.grid(*result) as at:
                first = at[:2]
                values[at] = tirx.min_value(dtype)
                indices[at] = tirx.const(0, "int64")
                for offset in itertools.product(*map(range, found.kernel)):
                    place = found.source(at[2:], offset)
                    element = (*first, *place)
                    with (
                        T.If(found.inside(place)),
                        T.Then(),
                        T.If(source[element] > values[at]),
                        T.Then(),
                    ):
                        values[at] = source[element]
                        indices[at] = _flat(te_shape(data), element, by_column)

        return loops.kernel(
            body, [data], [(result, dtype), (result, "int64")], name="max_pool_indices"
        )

    pooled = node.builder.emit(node.call(compute, node.required(0), name="max_pool_indices"))
    return relax.Tuple([relax.TupleGetItem(pooled, position) for position in (0, 1)])


def _flat(shape: list[int], at: tuple[Any, ...], by_column: bool) -> Any:
    """Return the position of an element; by column, the last two axes change places."""
    plane = math.prod(shape[2:])
    inner: Any = 0
    spatial = list(zip(shape[2:], at[2:], strict=True))
    for extent, index in reversed(spatial) if by_column else spatial:
        inner = inner * extent + index
    return T.Cast("int64", (at[0] * shape[1] + at[1]) * plane + inner)
