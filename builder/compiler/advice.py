"""What decides how a node works, and what to do where a plan cannot know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

BY_REASON: Mapping[str, str] = {
    "control-flow": "export the model without it",
    "dictionary": "export with zipmap=False: scores are a tensor then",
    "text": "do this before or after the model, in the program around it",
    "custom-domain": "export with standard ONNX operators, or as an ONNX function of such",
    "unknown-operator": "export with an operator set that has it",
    "unsupported-operator": "replace it by other ONNX operators where the model is exported",
    "too-many-axes": "merge axes where the model is exported: a Reshape costs nothing",
    "unsupported-type": "do this before or after the model, in the program around it",
    "data-dependent-shape": "end the model before it and do this step in the program around it",
    "value-out-of-range": "correct the constant where the model is exported",
    "unconvertible-node": "replace it by other ONNX operators where the model is exported",
}
"""Reason of a refusal -> what to do, where nothing better is known."""

SETTLED = ("control-flow", "data-dependent-shape", "unconvertible-node")
"""Reasons that a value known before would settle."""

_FROM_SECOND = (1, 2, 3, 4)
_DECIDING: Mapping[str, Sequence[int]] = {
    "BlackmanWindow": (0,),
    "ConstantOfShape": (0,),
    "DFT": (1, 2),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "If": (0,),
    "Loop": (0, 1),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "STFT": (1, 3),
    **dict.fromkeys(("AffineGrid", "CenterCropPad", "Col2Im", "Compress", "CumProd"), (1,)),
    **dict.fromkeys(("CumSum", "Expand", "Reshape", "Split", "SplitToSequence"), (1,)),
    **dict.fromkeys(("Squeeze", "Tile", "TopK", "Trilu", "Unsqueeze", "Upsample"), (1,)),
    **dict.fromkeys(("Resize", "Slice"), _FROM_SECOND),
}
"""Operator -> the inputs that are settings: axes, extents, counts, conditions."""

INSTEAD: Mapping[str, str] = {
    "Compress": "choose with Where, which keeps the shape, where the model is exported",
    "If": "compute both branches and choose with Where, where the model is exported",
    "Loop": "export it with a fixed number of rounds, or make its body the model and run that in "
    "the loop of the program around it",
    "NonMaxSuppression": "end the model at its boxes and scores and suppress in the program around "
    "it",
    "NonZero": "choose with Where, which keeps the shape, where the model is exported",
}
"""Operator -> what does the same in a fixed shape."""


def deciding(node: onnx.NodeProto) -> list[str]:
    """Return the inputs of ``node`` that are settings, not data."""
    positions = _DECIDING.get(node.op_type, ())
    if node.op_type.startswith("Reduce"):
        positions = (1,)
    return [node.input[p] for p in positions if p < len(node.input) and node.input[p]]
