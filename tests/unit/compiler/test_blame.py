"""A failing compiler is told in terms of the ONNX node."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from builder.compiler.blame import blamed, kernel_blamed
from builder.compiler.plan import KernelCall
from builder.errors import BoardwrightError, ModelRefused
from tests.unit.compiler.models import model


def chain() -> onnx.ModelProto:
    made = model(
        [
            helper.make_node("Relu", ["x"], ["a"], name="relu"),
            helper.make_node("Relu", ["a"], ["b"], name="relu again"),
            helper.make_node("Add", ["b", "w"], ["y"], name="add"),
        ],
        inputs={"x": [2, 3]},
        outputs={"y": [2, 3]},
        weights={"w": np.ones((2, 3), np.float32)},
    )
    return onnx.shape_inference.infer_shapes(made)


def fails_on(operator: str, error: Exception, tried: list[str]) -> BoardwrightError:
    def compile_alone(single: onnx.ModelProto) -> None:
        onnx.checker.check_model(single)
        tried.append(single.graph.node[0].name)
        if single.graph.node[0].op_type == operator:
            raise error

    return blamed(RuntimeError("whole"), chain(), compile_alone)


def test_the_first_node_that_fails_alone_is_named_and_likes_are_tried_once() -> None:
    tried: list[str] = []
    failure = fails_on("Add", ValueError("stack trace\nTypeError: no"), tried)
    assert (failure.reason, failure.where) == ("compiler-failed", "add")
    assert failure.why == "TypeError: no"
    assert tried == ["relu", "add"]


def test_a_refusal_of_one_node_is_the_answer() -> None:
    refusal = ModelRefused("no", reason="unconvertible-node")
    assert fails_on("Relu", refusal, []) is refusal


@pytest.mark.parametrize("operator", ["Nothing"])
def test_where_every_node_compiles_alone_none_is_named(operator: str) -> None:
    failure = fails_on(operator, ValueError("unused"), [])
    assert (failure.reason, failure.where, failure.why) == ("compiler-failed", None, "whole")


@pytest.mark.parametrize(("kernel", "where"), [("k1", "conv, relu"), (None, None)])
def test_a_kernel_that_fails_is_told_by_its_nodes(kernel: str | None, where: str | None) -> None:
    calls = [
        KernelCall(kernel="k0", nodes=("pad",), views=(), results=1),
        KernelCall(kernel="k1", nodes=("conv", "relu"), views=(), results=1),
    ]
    failure = kernel_blamed(kernel, "no registers", calls)
    assert (failure.reason, failure.where, failure.why) == (
        "compiler-failed",
        where,
        "no registers",
    )
