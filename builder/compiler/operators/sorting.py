"""TopK: the k largest or smallest along an axis, equal ones in order of their index."""

from __future__ import annotations

import math
from typing import Any

from tvm import relax, te
from tvm.script.ir_builder import tirx as T

from builder.compiler.operators import loops
from builder.compiler.operators.node import Node, dtype_of
from builder.compiler.tensors import te_shape


def topk(node: Node) -> relax.Expr | None:
    """Convert TopK with a constant k: each row is inserted, value by value, into a sorted list.

    That costs one comparison for a value that is not among the best so far, and moves at most k
    others for one that is.
    """
    wanted = node.value(1)
    if wanted is None:
        return None
    count, largest = int(wanted.item()), bool(node.attribute("largest", 1))
    axis = int(node.attribute("axis", -1)) % len(node.shape(0))
    dtype = dtype_of(node.required(0))

    def compute(data: te.Tensor) -> Any:
        shape = te_shape(data)
        outer, length, inner = (
            math.prod(shape[:axis]),
            shape[axis],
            math.prod(shape[axis + 1 :]),
        )

        def body(source: Any, values: Any, indices: Any, place: Any) -> None:
            with T.serial(0, outer) as i, T.serial(0, inner) as j:

                def at(position: Any) -> Any:
                    return (i * count + position) * inner + j

                def beats(value: Any, other: Any) -> Any:
                    return value > other if largest else value < other

                with T.serial(0, length) as k:
                    value = source[(i * length + k) * inner + j]
                    place[0] = T.min(k, count)
                    with T.While(
                        T.if_then_else(
                            place[0] > 0,
                            beats(value, values[at(T.max(place[0] - 1, 0))]),
                            T.bool(False),
                        )
                    ):
                        with T.If(place[0] < count), T.Then():
                            values[at(place[0])] = values[at(place[0] - 1)]
                            indices[at(place[0])] = indices[at(place[0] - 1)]
                        place[0] = place[0] - 1
                    with T.If(place[0] < count), T.Then():
                        values[at(place[0])] = value
                        indices[at(place[0])] = T.Cast("int64", k)

        result = [*shape[:axis], count, *shape[axis + 1 :]]
        return loops.kernel(
            body, [data], [(result, dtype), (result, "int64"), ([1], "int32")], name="topk"
        )

    sorted_out = node.builder.emit(node.call(compute, node.required(0), name="topk"))
    return relax.Tuple([relax.TupleGetItem(sorted_out, position) for position in (0, 1)])
