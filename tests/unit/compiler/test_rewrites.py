"""Rewrites of the graph: the prepared model has other operators and computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from tests.unit.compiler.examples import Array, Example, compare

RNG = np.random.default_rng(5)


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def whole(dtype: str, *shape: int) -> Array:
    return RNG.integers(0, 200 if dtype == "uint8" else 100, shape).astype(dtype)


F = np.float32
LONG = np.int64
IMAGE = floats(1, 2, 5, 7)
SCALES = np.asarray([1, 1, 0.6, 1.7], F)

EXAMPLES = {
    "dropout with its mask": Example(
        operator="Dropout",
        inputs={"x": floats(3, 4)},
        outputs=(TensorProto.FLOAT, TensorProto.BOOL),
    ),
    "shape": Example(
        operator="Shape",
        inputs={"x": floats(3, 4, 5)},
        outputs=(TensorProto.INT64,),
        attributes={"start": 1},
    ),
    "eye of another type": Example(
        operator="EyeLike",
        inputs={"x": whole("int32", 3, 5)},
        outputs=(TensorProto.DOUBLE,),
        attributes={"dtype": TensorProto.DOUBLE, "k": 1},
    ),
    "power of integers": Example(
        operator="Pow",
        inputs={"x": np.arange(5, dtype=np.int32), "p": np.asarray([2, 3, 1, 0, 4], np.int32)},
        outputs=(TensorProto.INT32,),
        stays=True,
    ),
    "a square": Example(
        operator="Pow", inputs={"x": floats(3, 4)}, weights={"p": np.asarray(2.0, F)}
    ),
    "a cube by an integer": Example(
        operator="Pow", inputs={"x": floats(3, 4)}, weights={"p": np.asarray([3], np.int64)}
    ),
    "a square of more axes": Example(
        operator="Pow",
        inputs={"x": floats(4)},
        weights={"p": np.asarray([[[2.0]]], F)},
        stays=True,
    ),
    "a root": Example(
        operator="Pow",
        inputs={"x": np.abs(floats(3, 4))},
        weights={"p": np.asarray(0.5, F)},
        stays=True,
    ),
    "one infinity": Example(
        operator="IsInf",
        inputs={"x": np.asarray([1, np.inf, -np.inf, np.nan], F)},
        outputs=(TensorProto.BOOL,),
        attributes={"detect_negative": 0},
    ),
    "layer norm over two axes": Example(
        operator="LayerNormalization",
        inputs={"x": floats(2, 3, 4)},
        weights={"s": floats(3, 4), "b": floats(3, 4)},
        attributes={"axis": 1},
        stays=True,
    ),
    "layer norm with statistics": Example(
        operator="LayerNormalization",
        inputs={"x": floats(2, 3, 4)},
        weights={"s": floats(4)},
        outputs=(TensorProto.FLOAT,) * 3,
        stays=True,
    ),
    "lp norm of a row of zeros": Example(
        operator="LpNormalization",
        inputs={"x": np.asarray([[3, 4], [0, 0]], F)},
        attributes={"axis": 1, "p": 2},
    ),
    "batch statistics": Example(
        operator="BatchNormalization",
        inputs={"x": floats(4, 3, 2)},
        weights={name: np.abs(floats(3)) for name in "sbmv"},
        outputs=(TensorProto.FLOAT,) * 3,
        attributes={"training_mode": 1},
    ),
    "integer product": Example(
        operator="MatMulInteger",
        inputs={"a": whole("uint8", 3, 8)},
        weights={
            "b": whole("int8", 8, 4),
            "az": np.asarray(12, np.uint8),
            "bz": np.asarray(3, np.int8),
        },
        outputs=(TensorProto.INT32,),
    ),
    "integer convolution": Example(
        operator="ConvInteger",
        inputs={"x": whole("uint8", 1, 3, 6, 6)},
        weights={"w": whole("uint8", 4, 3, 3, 3), "xz": np.asarray(7, np.uint8)},
        outputs=(TensorProto.INT32,),
        attributes={"pads": [1, 1, 1, 1]},
    ),
    "quantised product": Example(
        operator="QLinearMatMul",
        inputs={"a": whole("uint8", 3, 8)},
        weights={
            **{"as": np.asarray(0.02, F), "az": np.asarray(100, np.uint8)},
            **{"b": whole("uint8", 8, 4), "bs": np.asarray(0.03, F)},
            **{"bz": np.asarray(90, np.uint8), "ys": np.asarray(0.05, F)},
            "yz": np.asarray(128, np.uint8),
        },
        outputs=(TensorProto.UINT8,),
    ),
    "quantised convolution by channel, with bias": Example(
        operator="QLinearConv",
        inputs={"x": whole("uint8", 1, 3, 6, 6)},
        weights={
            **{"xs": np.asarray(0.02, F), "xz": np.asarray(100, np.uint8)},
            **{"w": whole("int8", 4, 3, 3, 3), "ws": np.asarray([0.01, 0.02, 0.03, 0.04], F)},
            **{"wz": np.zeros(4, np.int8), "ys": np.asarray(1.5, F)},
            **{"yz": np.asarray(128, np.uint8), "b": whole("int32", 4)},
        },
        outputs=(TensorProto.UINT8,),
        attributes={"strides": [2, 2]},
    ),
    "quantised by blocks": Example(
        operator="QuantizeLinear",
        inputs={"x": floats(4, 7) * 10},
        weights={
            "s": np.abs(floats(4, 3)) + F(0.1),
            "z": whole("uint8", 4, 3),
        },
        outputs=(TensorProto.UINT8,),
        attributes={"axis": 1, "block_size": 3},
        opset=21,
    ),
    "back from blocks": Example(
        operator="DequantizeLinear",
        inputs={"x": whole("int8", 7, 4), "s": floats(4, 4), "z": whole("int8", 4, 4)},
        attributes={"axis": 0, "block_size": 2},
        opset=21,
    ),
    "constants in blocks": Example(
        operator="DequantizeLinear",
        inputs={},
        weights={"x": whole("int8", 7, 4), "s": floats(4, 4), "z": whole("int8", 4, 4)},
        attributes={"axis": 0, "block_size": 2},
        opset=21,
    ),
    "one hot of indices from both ends, and of none": Example(
        operator="OneHot",
        inputs={
            "x": np.asarray([[1, -2, 0], [4, 7, -9]], LONG),
            "v": np.asarray([-1, 3], F),
        },
        weights={"d": np.asarray([5], LONG)},
        order=("x", "d", "v"),
        attributes={"axis": 1},
    ),
    "transposed convolution of a stated size": Example(
        operator="ConvTranspose",
        inputs={"x": floats(1, 2, 3, 3)},
        weights={"w": floats(2, 2, 3, 3)},
        attributes={"strides": [3, 2], "output_shape": [10, 8]},
        stays=True,
    ),
    "n-grams": Example(
        operator="TfIdfVectorizer",
        inputs={"x": np.asarray([[1, 1, 3, 3, 3, 7], [8, 6, 7, 5, 6, 8]], np.int32)},
        attributes={
            **{"mode": "TF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 2},
            **{"ngram_counts": [0, 4], "ngram_indexes": [0, 1, 2, 3, 4, 5, 6]},
            "pool_int64s": [2, 3, 5, 4, 5, 6, 7, 8, 6, 7],
        },
    ),
    "affine grid": Example(
        operator="AffineGrid",
        inputs={"theta": floats(2, 2, 3)},
        weights={"size": np.asarray([2, 3, 4, 5], LONG)},
        opset=20,
    ),
    "fourier transform": Example(
        operator="DFT",
        inputs={"x": floats(2, 8, 1)},
        weights={"n": np.asarray(8, LONG)},
        attributes={"axis": 1, "onesided": 1},
    ),
    "short-time fourier transform": Example(
        operator="STFT",
        inputs={"x": floats(1, 64, 1)},
        weights={"step": np.asarray(16, LONG), "w": np.hanning(32).astype(F)},
        attributes={"onesided": 1},
    ),
    **{
        f"resize {mode} {coordinates}": Example(
            operator="Resize",
            inputs={"x": IMAGE},
            weights={"scales": SCALES},
            order=("x", "", "scales"),
            attributes={"mode": mode, "coordinate_transformation_mode": coordinates},
        )
        for mode, coordinates in [
            ("linear", "half_pixel"),
            ("linear", "half_pixel_symmetric"),
            ("cubic", "half_pixel"),
            ("nearest", "asymmetric"),
            ("nearest", "half_pixel"),
        ]
    },
    "resize without aliases": Example(
        operator="Resize",
        inputs={"x": IMAGE},
        weights={"scales": np.asarray([1, 1, 0.6, 0.5], F)},
        order=("x", "", "scales"),
        attributes={"mode": "linear", "antialias": 1},
    ),
    "resize of one axis": Example(
        operator="Resize",
        inputs={"x": IMAGE},
        weights={"sizes": np.asarray([9], LONG)},
        order=("x", "", "", "sizes"),
        attributes={"mode": "linear", "axes": [1]},
    ),
}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=list(EXAMPLES))
def test_a_rewrite_changes_operators_but_no_result(tmp_path: Path, example: Example) -> None:
    compare(tmp_path, example)
