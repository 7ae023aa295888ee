"""How many further sets of inputs a bundle is verified with: what a build's length has room for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_SHARE = 0.1
_BUILD_S = 6.0
_BUILD_S_PER_NODE = 0.08
_EMULATED_OPERATIONS_PER_S = 1e9
_EMULATED_START_S = 0.15


def affordable(where: Literal["native", "qemu"], prepared: Path, most: int) -> int:
    """Return how many of ``most`` sets are run: all natively, at least one under qemu.

    It follows from the model, not from a clock, so that two builds verify the same. A build takes
    some time, and more for each node; an emulated run some for each operation.
    """
    if where == "native" or most <= 1:
        return most
    nodes, operations = _size(prepared)
    run_s = _EMULATED_START_S + operations / _EMULATED_OPERATIONS_PER_S
    build_s = _BUILD_S + _BUILD_S_PER_NODE * nodes
    return max(1, min(most, int(_SHARE * build_s / run_s)))


def _size(prepared: Path) -> tuple[int, int]:
    import onnx  # a quarter of a second that native runs need not pay

    from builder.compiler.flops import flops
    from builder.compiler.refusals import value_types

    graph = onnx.load(prepared / "model.onnx", load_external_data=False).graph
    shapes = {
        name: tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)
        for name, kind in value_types(graph).items()
    }
    return len(graph.node), sum(flops(node, shapes) for node in graph.node)
