"""Which inputs of a test say how an operator works: a plan needs their values when it is made."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

PARAMETERS: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "CumProd": (1,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "Dropout": (1, 2),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "If": (0,),
    "Loop": (0, 1),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    **{
        f"Reduce{kind}": (1,)
        for kind in (
            *("L1", "L2", "LogSum", "LogSumExp", "Max"),
            *("Mean", "Min", "Prod", "Sum", "SumSquare"),
        )
    },
}
"""Operator -> positions of the inputs that decide shapes, axes or what is run at all."""


def parameters(graph: onnx.GraphProto) -> frozenset[str]:
    """Return the graph inputs that some node takes as a parameter."""
    return taken(graph, PARAMETERS)


def taken(graph: onnx.GraphProto, positions: Mapping[str, tuple[int, ...]]) -> frozenset[str]:
    """Return the graph inputs that some node takes at one of its operator's ``positions``."""
    inputs = {value.name for value in graph.input}
    found = (
        node.input[position]
        for node in graph.node
        for position in positions.get(node.op_type, ())
        if position < len(node.input)
    )
    return frozenset(name for name in found if name in inputs)
