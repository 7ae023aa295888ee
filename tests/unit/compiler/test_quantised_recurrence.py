"""DynamicQuantizeLSTM written out: what ONNX Runtime's own kernel computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from builder.errors import ModelRefused
from tests.unit.compiler.examples import Array, Example, compare

RNG = np.random.default_rng(31)
HIDDEN, FEATURES, STEPS, ROWS = 5, 6, 4, 2
NAMES = ("x", "w", "r", "b", "l", "h", "c", "p", "ws", "wz", "rs", "rz")


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def layer(
    direction: str = "forward",
    *,
    dtype: str = "int8",
    by_column: bool = False,
    states: bool = False,
    bias: bool = True,
    **attributes: Any,
) -> Example:
    """Return a layer of 5 units on 4 steps, 2 rows and 6 features."""
    count = 2 if direction == "bidirectional" else 1
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    parameters = (count, 4 * HIDDEN) if by_column else (count,)
    inputs = {"x": floats(STEPS, ROWS, FEATURES)}
    if states:
        inputs |= {"h": floats(count, ROWS, HIDDEN), "c": floats(count, ROWS, HIDDEN)}
    weights = {
        "w": RNG.integers(low, high, (count, FEATURES, 4 * HIDDEN)).astype(dtype),
        "r": RNG.integers(low, high, (count, HIDDEN, 4 * HIDDEN)).astype(dtype),
        **{name: (0.01 * np.abs(floats(*parameters)) + 0.005) for name in ("ws", "rs")},
        **{name: np.full(parameters, 0 if low else 120, dtype) for name in ("wz", "rz")},
    }
    if bias:
        weights["b"] = floats(count, 8 * HIDDEN)
    return Example(
        operator="DynamicQuantizeLSTM",
        domain="com.microsoft",
        inputs=inputs,
        weights=weights,
        order=[name if name in inputs or name in weights else "" for name in NAMES],
        outputs=(TensorProto.FLOAT,) * 3,
        attributes={"hidden_size": HIDDEN, "direction": direction, **attributes},
        opset=14,
    )


LAYERS = {
    "forward": layer(),
    "reverse": layer("reverse"),
    "both ways": layer("bidirectional"),
    "unsigned, both ways": layer("bidirectional", dtype="uint8"),
    "scales by column": layer("bidirectional", by_column=True),
    "states that are given": layer("bidirectional", states=True),
    "no bias": layer(bias=False),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_computes_what_onnx_runtime_does(tmp_path: Path, case: str) -> None:
    compare(tmp_path, LAYERS[case])


def test_options_without_a_rewrite_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused) as caught:
        compare(tmp_path, layer(input_forget=1))
    assert caught.value.reason == "custom-domain"
