"""ONNX Runtime's own operators: written as ONNX's, they compute what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, parser

from builder.compiler.prepare.pipeline import prepare
from tests.unit.compiler.examples import Array, Example, compare

RNG = np.random.default_rng(8)
FLOAT, INT32 = TensorProto.FLOAT, TensorProto.INT32


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def contributed(operator: str, **fields: Any) -> Example:
    return Example(operator=operator, domain="com.microsoft", **({"opset": 14} | fields))


X = floats(2, 3, 8)
VECTORS = {name: floats(8) for name in "sbt"}
IMAGE = {"x": floats(1, 3, 7, 6), "z": floats(1, 4, 7, 6)}
FILTER = {"w": floats(4, 3, 3, 3), "b": floats(4)}
WEIGHTS = {"w": floats(8, 24), "b": floats(24)}
HEADS = {"num_heads": 2}
TOKENS = {name: RNG.integers(0, 2, (2, 5)).astype(np.int32) for name in ("i", "k", "m")}
CACHES = {"c": np.cos(floats(9, 2)), "n": np.sin(floats(9, 2))}
KEYS = {"k": floats(2, 5, 8), "v": floats(2, 5, 6)}
PAST = floats(2, 2, 2, 4, 4)

EXAMPLES = {
    "gelu": contributed("Gelu", inputs={"x": X}, stays=True),
    "gelu of a sum": contributed("BiasGelu", inputs={"x": X}, weights={"b": floats(8)}),
    "fast gelu": contributed("FastGelu", inputs={"x": X}),
    "fast gelu of a sum": contributed("FastGelu", inputs={"x": X}, weights={"b": floats(8)}),
    "quick gelu": contributed("QuickGelu", inputs={"x": X}, attributes={"alpha": 1.5}),
    "layer norm before its time": Example(
        operator="LayerNormalization",
        inputs={"x": X},
        weights={"s": floats(8), "b": floats(8)},
        attributes={"epsilon": 0.01},
        opset=12,
        stays=True,
    ),
    "rms norm": Example(
        operator="SimplifiedLayerNormalization",
        inputs={"x": X},
        weights={"s": floats(8)},
        opset=14,
    ),
    "layer norm of a sum": contributed(
        "SkipLayerNormalization",
        inputs={"x": X, "skip": floats(2, 3, 8)},
        weights=VECTORS,
        outputs=(FLOAT, 0, 0, FLOAT),
    ),
    "rms norm of a sum": contributed(
        "SkipSimplifiedLayerNormalization",
        inputs={"x": X, "skip": floats(2, 3, 8)},
        weights={"s": floats(8), "b": floats(8)},
        outputs=(FLOAT, 0, 0, FLOAT),
    ),
    "embeddings": contributed(
        "EmbedLayerNormalization",
        inputs=TOKENS,
        weights={
            **{"words": floats(9, 8), "places": floats(7, 8), "kinds": floats(2, 8)},
            **{"s": floats(8), "b": floats(8)},
        },
        order=("i", "k", "words", "places", "kinds", "s", "b", "m"),
        outputs=(FLOAT, INT32),
    ),
    "product of what is turned": contributed(
        "FusedMatMul",
        inputs={"x": floats(2, 4, 3), "y": floats(2, 5, 4)},
        attributes={"transA": 1, "transB": 1, "alpha": 0.5},
    ),
    "convolution, sum and bound": contributed(
        "FusedConv",
        inputs=IMAGE,
        weights=FILTER,
        order=("x", "w", "b", "z"),
        attributes={"activation": "Clip", "activation_params": [0.0, 1.0], "pads": [1] * 4},
    ),
    "convolution and leaky bound": contributed(
        "FusedConv",
        inputs={"x": IMAGE["x"]},
        weights=FILTER,
        attributes={"activation": "LeakyRelu", "activation_params": [0.2]},
    ),
    "product and bound": contributed(
        "FusedGemm",
        inputs={"x": floats(3, 4)},
        weights={"w": floats(5, 4), "b": floats(5)},
        attributes={"transB": 1, "alpha": 0.5, "activation": "Relu"},
    ),
    "attention by a mask": contributed(
        "Attention",
        inputs={"x": floats(2, 5, 8), "m": TOKENS["m"]},
        weights=WEIGHTS,
        order=("x", "w", "b", "m"),
        attributes=HEADS,
    ),
    "attention by lengths, to what came before": contributed(
        "Attention",
        inputs={"x": floats(2, 5, 8), "m": np.asarray([3, 5], np.int32)},
        weights=WEIGHTS,
        order=("x", "w", "b", "m"),
        attributes=HEADS | {"unidirectional": 1},
    ),
    "attention with a past": contributed(
        "Attention",
        inputs={"x": floats(2, 5, 8), "past": PAST},
        weights=WEIGHTS,
        order=("x", "w", "b", "", "past"),
        outputs=(FLOAT, FLOAT),
        attributes=HEADS | {"scale": 0.3},
    ),
    "attention with a bias": contributed(
        "Attention",
        inputs={"x": floats(2, 5, 8), "bias": floats(2, 2, 5, 5)},
        weights=WEIGHTS,
        order=("x", "w", "b", "", "", "bias"),
        attributes=HEADS,
    ),
    "attention of many heads": contributed(
        "MultiHeadAttention",
        inputs={"q": floats(2, 3, 8), **KEYS, "m": TOKENS["m"]},
        weights={"b": floats(22)},
        order=("q", "k", "v", "b", "m"),
        attributes=HEADS,
    ),
    "attention to keys by head": contributed(
        "MultiHeadAttention",
        inputs={"q": floats(2, 3, 8), "k": floats(2, 2, 5, 4), "v": floats(2, 2, 5, 4)},
        attributes=HEADS,
    ),
    "attention with keys of the past": contributed(
        "MultiHeadAttention",
        inputs={
            **{"q": floats(2, 3, 8), "k": floats(2, 3, 8), "v": floats(2, 3, 8)},
            **{"pk": PAST[0], "pv": PAST[1]},
        },
        order=("q", "k", "v", "", "", "", "pk", "pv"),
        outputs=(FLOAT,) * 3,
        attributes=HEADS | {"unidirectional": 1},
    ),
    **{
        f"rotary, interleaved {interleaved}, rank {len(shape)}": contributed(
            "RotaryEmbedding",
            inputs={"x": floats(*shape), "at": at},
            weights=CACHES,
            attributes={"interleaved": interleaved} | more,
        )
        for interleaved in (0, 1)
        for shape, at, more in (
            ((2, 5, 8), np.asarray([2]), {}),
            ((2, 2, 5, 4), RNG.integers(0, 9, (2, 5)), {}),
            ((2, 5, 12), np.asarray([1]), {"num_heads": 2, "rotary_embedding_dim": 4}),
        )
    },
}

U8, I8 = TensorProto.UINT8, TensorProto.INT8


def steps(dtype: str, *shape: int) -> Array:
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)


def scaled(name: str, scale: float, zero: int, dtype: str = "uint8") -> dict[str, Array]:
    return {f"{name}s": np.asarray(scale, np.float32), f"{name}z": np.asarray(zero, dtype)}


ALL = np.arange(256).astype(np.uint8)
X_SCALE, Y_SCALE = scaled("x", 0.0371, 131), scaled("y", 0.0507, 97)
UNARY = ("x", "xs", "xz", "ys", "yz")
BINARY = ("x", "xs", "xz", "b", "bs", "bz", "ys", "yz")
IMAGES = steps("uint8", 2, 3, 9, 7)
B4 = {"b": steps("uint8", 5, 3, 8), "s": np.abs(floats(15)), "z": steps("uint8", 10)}
NBITS = {"K": 40, "N": 5, "bits": 4, "block_size": 16}

INTEGERS = {
    **{
        f"{operator} of all pairs": contributed(
            operator,
            inputs={"x": ALL[:, None], "b": ALL[None]},
            weights=X_SCALE | Y_SCALE | scaled("b", 0.0213, 12),
            order=BINARY,
            outputs=(U8,),
        )
        for operator in ("QLinearAdd", "QLinearMul")
    },
    **{
        f"{operator} of all numbers": contributed(
            operator,
            inputs={"x": ALL[None]},
            weights=X_SCALE | Y_SCALE,
            order=UNARY,
            outputs=(U8,),
            attributes=attributes,
        )
        for operator, attributes in (
            ("QLinearSigmoid", {}),
            ("QLinearLeakyRelu", {"alpha": 0.1}),
        )
    },
    "parameters in lists of one": contributed(
        "QLinearSigmoid",
        inputs={"x": steps("uint8", 3, 5)},
        weights={name: value.reshape(1) for name, value in (X_SCALE | Y_SCALE).items()},
        order=UNARY,
        outputs=(U8,),
    ),
    "softmax": contributed(
        "QLinearSoftmax",
        inputs={"x": steps("uint8", 4, 9)},
        weights=X_SCALE | scaled("y", 1 / 256, 0),
        order=UNARY,
        outputs=(U8,),
        attributes={"axis": 1, "opset": 13},
    ),
    "mean of windows": contributed(
        "QLinearAveragePool",
        inputs={"x": IMAGES},
        weights=X_SCALE | Y_SCALE,
        order=UNARY,
        outputs=(U8,),
        attributes={"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]},
    ),
    "mean of all": contributed(
        "QLinearGlobalAveragePool",
        inputs={"x": IMAGES},
        weights=X_SCALE | Y_SCALE,
        order=UNARY,
        outputs=(U8,),
        attributes={"channels_last": 0},
    ),
    "concatenation": contributed(
        "QLinearConcat",
        inputs={"x": ALL, "b": ALL},
        weights=X_SCALE | Y_SCALE | scaled("b", 0.0507, 97),
        order=("ys", "yz", "x", "xs", "xz", "b", "bs", "bz"),
        outputs=(U8,),
        attributes={"axis": 0},
    ),
    "product and sum": contributed(
        "QGemm",
        inputs={"x": steps("uint8", 3, 8)},
        weights={
            **X_SCALE | scaled("y", 9.3, 120),
            **{"b": steps("int8", 5, 8), "bs": np.abs(floats(5)), "bz": np.zeros(5, np.int8)},
            "c": RNG.integers(-500, 500, 5).astype(np.int32),
        },
        order=("x", "xs", "xz", "b", "bs", "bz", "c", "ys", "yz"),
        outputs=(U8,),
        attributes={"transB": 1},
    ),
    "product of what is quantised there": contributed(
        "DynamicQuantizeMatMul",
        inputs={"x": floats(3, 8)},
        weights={"b": steps("int8", 8, 5), **scaled("b", 0.02, 3, "int8"), "c": floats(5)},
        order=("x", "b", "bs", "bz", "c"),
    ),
    "product to floats": contributed(
        "MatMulIntegerToFloat",
        inputs={"x": steps("uint8", 3, 8)},
        weights={"b": steps("int8", 8, 5), **X_SCALE, **scaled("b", 0.02, 3, "int8")},
        order=("x", "b", "xs", "bs", "xz", "bz"),
    ),
    "product of few bits": contributed(
        "MatMulNBits",
        inputs={"x": floats(3, 40)},
        weights=B4,
        attributes=NBITS,
    ),
    "product of few bits around the middle": contributed(
        "MatMulNBits",
        inputs={"x": floats(3, 40)},
        weights={name: B4[name] for name in "bs"},
        attributes=NBITS,
    ),
    "to steps": contributed(
        "QuantizeLinear",
        inputs={"x": X},
        weights=Y_SCALE,
        outputs=(U8,),
        stays=True,
    ),
}


@pytest.mark.parametrize(
    "example", [*EXAMPLES.values(), *INTEGERS.values()], ids=[*EXAMPLES, *INTEGERS]
)
def test_an_operator_of_onnx_runtime_is_written_as_onnxs_own(
    tmp_path: Path, example: Example
) -> None:
    compare(tmp_path, example)


def test_one_tells_the_next_its_shape(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 12, "com.microsoft" : 1]>
        g (float[2,5,8] x) => (float[2,5,8] y) <float[8,24] w, float[24] b, float[8] s>
        { a = com.microsoft.Attention <num_heads = 2> (x, w, b)
          n = com.microsoft.SkipLayerNormalization (a, x, s, s)
          y = com.microsoft.Attention <num_heads = 2> (n, w, b) }"""
    model = parser.parse_model(text)
    for name, value in {"w": floats(8, 24), "b": floats(24), "s": floats(8)}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, tmp_path / "m.onnx")
    (tmp_path / "out").mkdir()
    prepare(tmp_path / "m.onnx", seed=0, output=tmp_path / "out", log=lambda _: None)
    made = onnx.load(tmp_path / "out/model.onnx")
    assert {node.domain for node in made.graph.node} == {""}
