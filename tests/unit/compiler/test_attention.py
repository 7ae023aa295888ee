"""Attention becomes one kernel, whatever stands between its products, and computes the same."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.unit.compiler.execution import errors
from tests.unit.compiler.models import model
from tests.unit.compiler.test_kernels import CLOSE, LANES, values

HEADS, DEPTH = 3, 20
Nodes = list[onnx.NodeProto]


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, list(inputs), [output], **attributes)


def heads(source: str, name: str, perm: tuple[int, ...]) -> Nodes:
    """Return the nodes that take [1, length, heads * depth] apart into heads."""
    return [
        node("Reshape", [source, "apart"], f"{name}_apart"),
        node("Transpose", [f"{name}_apart"], name, perm=perm),
    ]


def attention(
    between: Nodes,
    rows: int,
    keys: int,
    *,
    weights: Mapping[str, Any],
    inputs: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """Return an attention over heads whose scores "s" become "logits" by what is ``between``."""
    width = HEADS * DEPTH
    nodes = [
        *heads("x", "q", (0, 2, 1, 3)),
        *heads("y", "k", (0, 2, 3, 1)),
        *heads("z", "v", (0, 2, 1, 3)),
        node("MatMul", ["q", "k"], "s"),
        *between,
        node("Softmax", ["logits"], "p", axis=-1),
        node("MatMul", ["p", "v"], "o"),
        node("Transpose", ["o"], "t", perm=(0, 2, 1, 3)),
        node("Reshape", ["t", "together"], "j"),
        node("Tanh", ["j"], "out"),
    ]
    return model(
        nodes,
        inputs={
            "x": [1, rows, width],
            "y": [1, keys, width],
            "z": [1, keys, width],
            **(inputs or {}),
        },
        outputs={"out": None},
        weights={
            "apart": np.array([1, -1, HEADS, DEPTH]),
            "together": np.array([1, rows, width]),
            **weights,
        },
    )


def scaled(rows: int, keys: int) -> onnx.ModelProto:
    between = [node("Mul", ["s", "scale"], "logits")]
    return attention(between, rows, keys, weights={"scale": np.array(0.2, "f4")})


def biased(rows: int, keys: int) -> onnx.ModelProto:
    """A scale, a bias for each head, a scale again."""
    between = [
        node("Div", ["s", "scale"], "a"),
        node("Add", ["bias", "a"], "b"),
        node("Mul", ["b", "scale"], "logits"),
    ]
    weights = {"scale": np.array(1.5, "f4"), "bias": values(HEADS, rows, keys)}
    return attention(between, rows, keys, weights=weights)


def causal(rows: int, keys: int) -> onnx.ModelProto:
    """Keys after the row are hidden."""
    between = [node("Where", ["hidden", "least", "s"], "logits")]
    hidden = np.triu(np.ones((1, 1, rows, keys), bool), 1)
    weights = {"hidden": hidden, "least": np.array(-np.inf, "f4")}
    return attention(between, rows, keys, weights=weights)


def masked(rows: int, keys: int) -> onnx.ModelProto:
    """A mask that is an input, one number a key."""
    between = [node("Add", ["s", "mask"], "logits")]
    inputs = {"mask": [1, 1, 1, keys]}
    return attention(between, rows, keys, weights={}, inputs=inputs)


def by_row(rows: int, keys: int) -> onnx.ModelProto:
    """A mask that is an input, one number a row, and a bias behind a reshape."""
    between = [
        node("Add", ["s", "mask"], "a"),
        node("Reshape", ["a", "five"], "f"),
        node("Add", ["f", "bias"], "g"),
        node("Reshape", ["g", "four"], "logits"),
    ]
    weights = {
        "five": np.array([1, 1, HEADS, rows, keys]),
        "four": np.array([1, HEADS, rows, keys]),
        "bias": values(HEADS, 1, keys),
    }
    inputs = {"mask": [1, HEADS, rows, 1]}
    return attention(between, rows, keys, weights=weights, inputs=inputs)


def check(made: onnx.ModelProto, lanes: int, cores: int = 4) -> list[str]:
    """Compile and run; return the names of the kernels."""
    with tempfile.TemporaryDirectory() as folder:
        result = errors(made, Path(folder), lanes=lanes, cores=cores)
    assert max(result["outputs"]) < CLOSE
    assert [line for line in result["log"] if "does not fit" in line] == []
    kernels: list[str] = result["kernels"]
    return kernels


def is_one_kernel(kernels: Sequence[str]) -> bool:
    return any("attention" in name for name in kernels) and not any(
        part in name for name in kernels for part in ("softmax", "matmul")
    )


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("shape", [(8, 16), (9, 33), (29, 100)])
@pytest.mark.parametrize("kind", [scaled, biased, causal, masked, by_row])
def test_attention_is_one_kernel(kind: Any, shape: tuple[int, int], lanes: int) -> None:
    assert is_one_kernel(check(kind(*shape), lanes))


@pytest.mark.parametrize("lanes", LANES)
def test_large_enough_to_be_split_over_cores(lanes: int) -> None:
    assert is_one_kernel(check(scaled(97, 150), lanes))


@pytest.mark.parametrize("lanes", LANES)
def test_operands_are_parts_of_one_tensor(lanes: int) -> None:
    """Taken apart by Gather, as windows are, or by Split; the result is not transposed."""
    rows, depth = 25, 16
    made = model(
        [
            node("Transpose", ["x"], "t", perm=(2, 0, 3, 1, 4)),
            node("Gather", ["t", "first"], "q", axis=0),
            node("Gather", ["t", "last"], "v", axis=0),
            node("Gather", ["t", "second"], "k", axis=0),
            node("Transpose", ["k"], "kt", perm=(0, 1, 3, 2)),
            node("Mul", ["q", "scale"], "qs"),
            node("MatMul", ["qs", "kt"], "s"),
            node("Softmax", ["s"], "p", axis=-1),
            node("Mul", ["v", "scale"], "vs"),
            node("MatMul", ["p", "vs"], "out"),
        ],
        inputs={"x": [4, rows, 3, 2, depth]},
        outputs={"out": None},
        weights={
            "first": np.array(0),
            "second": np.array(1),
            "last": np.array(-1),
            "scale": np.array(0.25, "f4"),
        },
    )
    assert is_one_kernel(check(made, lanes))


@pytest.mark.parametrize("lanes", LANES)
def test_heads_share_keys_and_values(lanes: int) -> None:
    """One head of keys for several of queries, repeated by Expand; the batch is one axis."""
    made = model(
        [
            helper.make_node("Split", ["x"], ["k", "v"], axis=2),
            node("Expand", ["k", "all"], "ks"),
            node("Expand", ["v", "all"], "vs"),
            node("Transpose", ["ks"], "kt", perm=(0, 2, 1)),
            node("MatMul", ["q", "kt"], "s"),
            node("Softmax", ["s"], "p", axis=-1),
            node("MatMul", ["p", "vs"], "out"),
        ],
        inputs={"q": [4, 17, 12], "x": [1, 21, 24]},
        outputs={"out": None},
        weights={"all": np.array([4, 21, 12])},
    )
    assert is_one_kernel(check(made, lanes))


def test_scores_that_are_wanted_stay() -> None:
    """The weights of the values are an output too: they are computed on their own."""
    made = scaled(16, 24)
    made.graph.output.append(helper.make_tensor_value_info("p", 1, [1, HEADS, 16, 24]))
    kernels = check(made, 4)
    assert any("softmax" in name for name in kernels)


def test_few_rows_are_not_worth_packing_the_keys() -> None:
    assert not is_one_kernel(check(scaled(1, 64), 4))


@pytest.mark.parametrize("indices", [2, -1, [0, 2, 4], [1, 2], [-1, 0], [[3], [1]]])
def test_gathering_by_known_indices(indices: Any) -> None:
    made = model(
        [node("Relu", ["x"], "r"), node("Gather", ["r", "at"], "out", axis=1)],
        inputs={"x": [3, 5, 7]},
        outputs={"out": None},
        weights={"at": np.array(indices)},
    )
    check(made, 4)
