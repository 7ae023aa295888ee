"""ONNX Runtime's own activations, normalisations and fused operators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from builder.compiler.prepare.rewrites.normalization import over_root_of_mean_square
from builder.compiler.prepare.rewriting import Rewrite, Site


def gelu(site: Site) -> bool:
    """Gelu and BiasGelu: by the error function."""
    data = _with_bias(site, 1)
    inner = site.emit("Erf", site.emit("Mul", data, _number(site, math.sqrt(0.5))))
    _half_of(site, data, inner)
    return True


def fast_gelu(site: Site) -> bool:
    """FastGelu: by the hyperbolic tangent."""
    data = _with_bias(site, 1)
    cube = site.emit("Mul", site.emit("Mul", data, data), data)
    bent = site.emit("Add", data, site.emit("Mul", cube, _number(site, 0.044715)))
    inner = site.emit("Tanh", site.emit("Mul", bent, _number(site, math.sqrt(2 / math.pi))))
    _half_of(site, data, inner)
    return True


def quick_gelu(site: Site) -> bool:
    """QuickGelu: by the logistic function."""
    data = site.node.input[0]
    steep = site.emit("Mul", data, _number(site, site.attribute("alpha", 1.702)))
    site.emit("Mul", data, site.emit("Sigmoid", steep), to=site.node.output[0])
    return True


def _half_of(site: Site, data: str, inner: str) -> None:
    """Make the node's output of ``data * (1 + inner) / 2``."""
    half = site.emit("Mul", data, _number(site, 0.5))
    site.emit("Mul", half, site.emit("Add", inner, _number(site, 1.0)), to=site.node.output[0])


def layer_normalization(site: Site) -> bool:
    """LayerNormalization of any operator set: ONNX's own."""
    site.emit_many("LayerNormalization", *site.node.input, to=site.node.output, **_settings(site))
    return True


def simplified_layer_normalization(site: Site) -> bool:
    """SimplifiedLayerNormalization: over the root of the mean square."""
    rank = site.rank(0)
    if site.wants(1):
        return False
    axes = range(site.attribute("axis", -1) % rank, rank)
    data, scale = site.node.input[:2]
    over_root_of_mean_square(site, data, scale, axes, site.attribute("epsilon", 1e-5))
    return True


def skip_layer_normalization(site: Site) -> bool:
    """SkipLayerNormalization: of a sum, which is an output as well."""
    if site.wants(1) or site.wants(2):
        return False
    total = _skipped(site, 4)
    operands = [total, *(name for name in site.node.input[2:4] if name)]
    epsilon = site.attribute("epsilon", 1e-12)
    site.emit("LayerNormalization", *operands, to=site.node.output[0], axis=-1, epsilon=epsilon)
    return True


def skip_simplified_layer_normalization(site: Site) -> bool:
    """SkipSimplifiedLayerNormalization: the same, over the root of the mean square."""
    if site.wants(1) or site.wants(2):
        return False
    total, epsilon = _skipped(site, 3), site.attribute("epsilon", 1e-12)
    over_root_of_mean_square(site, total, site.node.input[2], [site.rank(0) - 1], epsilon)
    return True


def _skipped(site: Site, bias: int) -> str:
    """Return the sum of what comes, what skipped it and a bias."""
    to = site.node.output[3] if site.wants(3) else None
    data, skip = site.node.input[:2]
    if not site.has(bias):
        return site.emit("Add", data, skip, to=to)
    return site.emit("Add", site.emit("Add", data, skip), site.node.input[bias], to=to)


def embed_layer_normalization(site: Site) -> bool:
    """EmbedLayerNormalization: of the sum of words, places and segments."""
    extents = site.shape(0)
    if extents is None:
        return False
    tokens, segments, words, places, kinds, scale, shift = site.node.input[:7]
    total = site.emit("Gather", words, tokens, axis=0)
    at = site.node.input[8] if site.has(8) else np.arange(extents[1])
    total = site.emit("Add", total, site.emit("Gather", places, at, axis=0))
    to = site.node.output[2] if site.wants(2) else None
    if segments:
        kind = site.emit("Gather", kinds, segments, axis=0)
        total = site.emit("Add", total, kind, to=to)
    elif to:
        site.emit("Identity", total, to=to)
    epsilon = site.attribute("epsilon", 1e-12)
    site.emit(
        "LayerNormalization", total, scale, shift, to=site.node.output[0], axis=-1, epsilon=epsilon
    )
    _count_of_mask(site, extents[0])
    return True


def _count_of_mask(site: Site, rows: int) -> None:
    if not site.wants(1):
        return
    if not site.has(7):
        site.set_output(1, np.zeros(rows, np.int32))
        return
    to = site.node.output[1]
    site.emit("ReduceSum", site.node.input[7], np.asarray([1]), to=to, keepdims=0)


def fused_matmul(site: Site) -> bool:
    """FusedMatMul: MatMul of transposed operands, times a number."""
    if site.attribute("transBatchA", 0) or site.attribute("transBatchB", 0):
        return False
    left, right = (
        _transposed(site, position) if site.attribute(name, 0) else site.node.input[position]
        for position, name in enumerate(("transA", "transB"))
    )
    product = site.emit("MatMul", left, right)
    alpha = _number(site, site.attribute("alpha", 1.0))
    site.emit("Mul", product, alpha, to=site.node.output[0])
    return True


def _transposed(site: Site, position: int) -> str:
    axes = list(range(site.rank(position)))
    axes[-2:] = axes[:-3:-1]  # a vector has no other axis to change places with
    return site.emit("Transpose", site.node.input[position], perm=axes)


def fused_conv(site: Site) -> bool:
    """FusedConv: Conv, a sum and an activation."""
    settings = _settings(site)
    activation = settings.pop("activation", "")
    parameters = settings.pop("activation_params", [])
    result = site.emit("Conv", *site.node.input[:3], **settings)
    if site.has(3):
        result = site.emit("Add", result, site.node.input[3])
    return _activate(site, activation, parameters, result)


def fused_gemm(site: Site) -> bool:
    """FusedGemm: Gemm and an activation."""
    settings = {name: value for name, value in _settings(site).items() if "activation" not in name}
    product = site.emit("Gemm", *site.node.input, **settings)
    names = ("alpha", "beta", "gamma")
    given = (site.attribute(f"activation_{name}") for name in names)
    parameters = [value for value in given if value is not None]
    return _activate(site, site.attribute("activation", ""), parameters, product)


def _activate(site: Site, operator: str, parameters: Sequence[float], data: str) -> bool:
    """Make the node's output of an activation that fused operators may have, if it is one."""
    to = site.node.output[0]
    match operator, list(parameters):
        case "Clip", [low, high]:
            site.emit("Clip", data, _number(site, low), _number(site, high), to=to)
        case "LeakyRelu", [alpha]:
            site.emit("LeakyRelu", data, to=to, alpha=alpha)
        case "HardSigmoid", [alpha, beta]:
            site.emit("HardSigmoid", data, to=to, alpha=alpha, beta=beta)
        case "Relu" | "Sigmoid" | "Tanh", _:
            site.emit(operator, data, to=to)
        case "", _:
            site.emit("Identity", data, to=to)
        case _:
            return False
    return True


def _with_bias(site: Site, position: int) -> str:
    data: str = site.node.input[0]
    return site.emit("Add", data, site.node.input[position]) if site.has(position) else data


def _number(site: Site, value: float) -> Any:
    """Return a number in the type of the node's first operand."""
    return np.asarray(value, site.dtype(0))


def _settings(site: Site) -> dict[str, Any]:
    """Return all of the node's attributes."""
    return {each.name: site.attribute(each.name) for each in site.node.attribute}


TABLE: Mapping[str, Rewrite] = {
    "BiasGelu": gelu,
    "EmbedLayerNormalization": embed_layer_normalization,
    "FastGelu": fast_gelu,
    "FusedConv": fused_conv,
    "FusedGemm": fused_gemm,
    "FusedMatMul": fused_matmul,
    "Gelu": gelu,
    "LayerNormalization": layer_normalization,
    "QuickGelu": quick_gelu,
    "SimplifiedLayerNormalization": simplified_layer_normalization,
    "SkipLayerNormalization": skip_layer_normalization,
    "SkipSimplifiedLayerNormalization": skip_simplified_layer_normalization,
}
