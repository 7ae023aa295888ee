"""Which inputs of a test are indices or lengths: only some of their values mean anything."""

from __future__ import annotations

import onnx

from ci.conformance.freezing import taken

INDICES: dict[str, tuple[int, ...]] = {
    "ArrayFeatureExtractor": (1,),
    "Attention": (6,),
    "BitShift": (1,),
    "GRU": (4,),
    "Gather": (1,),
    "GatherElements": (1,),
    "GatherND": (1,),
    "LSTM": (4,),
    "MaxUnpool": (1,),
    "NegativeLogLikelihoodLoss": (1,),
    "RNN": (4,),
    "ReverseSequence": (1,),
    "RoiAlign": (2,),
    "RotaryEmbedding": (3,),
    "Scatter": (1,),
    "ScatterElements": (1,),
    "ScatterND": (1,),
    "SoftmaxCrossEntropyLoss": (1,),
    "TensorScatter": (2,),
}
"""Operator -> positions of the inputs that index others or measure them."""


def indices(graph: onnx.GraphProto) -> frozenset[str]:
    """Return the graph inputs that some node takes as an index or a length."""
    return taken(graph, INDICES)
