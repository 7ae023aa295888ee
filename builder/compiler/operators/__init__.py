"""Conversions of our own, for operators that TVM's importer lacks or gets wrong."""

from __future__ import annotations

from collections.abc import Mapping

from tvm import relax

from builder.compiler.operators import (
    bits,
    casting,
    choosing,
    gathering,
    geometry,
    linear_algebra,
    padding,
    pooling,
    recurrent,
    reductions,
    regions,
    responses,
    sampling,
    scans,
    scattering,
    sorting,
    summing,
    support_vectors,
    trees,
)
from builder.compiler.operators.node import Converter, Node

CONVERTERS: Mapping[str, Converter] = {
    "BitCast": bits.bitcast,
    "Cast": casting.cast,
    "CastLike": casting.cast_like,
    "Clip": choosing.clip,
    "Col2Im": geometry.col2im,
    "CumProd": scans.cumprod,
    "CumSum": scans.cumsum,
    "DeformConv": geometry.deform_conv,
    "Det": linear_algebra.det,
    "Gather": gathering.gather,
    "DynamicQuantizeLinear": reductions.dynamic_quantize,
    "GridSample": sampling.grid_sample,
    "GRU": recurrent.gru,
    "LRN": responses.local_response,
    "LSTM": recurrent.lstm,
    "Max": choosing.folded(relax.op.maximum),
    "MaxPool": pooling.max_pool,
    "Min": choosing.folded(relax.op.minimum),
    "Pad": padding.pad,
    "RNN": recurrent.rnn,
    "ReduceLogSumExp": reductions.log_sum_exp,
    "ReverseSequence": scattering.reverse_sequence,
    "RoiAlign": regions.roi_align,
    "SVMClassifier": support_vectors.svm_classifier,
    "Sum": summing.total,
    "TensorScatter": scattering.tensor_scatter,
    "ThresholdedRelu": choosing.thresholded_relu,
    "TopK": sorting.topk,
    "TreeEnsemble": trees.tree_ensemble,
    "TreeEnsembleRegressor": trees.tree_ensemble,
}
"""ONNX operator -> its conversion; one that returns None leaves the node to TVM's importer."""


def convert(node: Node) -> relax.Expr | None:
    """Return the value of ``node``, or None where there is no conversion of our own for it."""
    converter = CONVERTERS.get(node.operator)
    return None if converter is None else converter(node)
