"""Schedules for Arm cores, run on this machine: they are loops like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from builder.compiler.codegen import llvm_target
from builder.compiler.vector_unit import VectorUnit, vector_unit
from builder.model.target import Arch, Cpu, Libc, Platform
from tests.unit.compiler.execution import errors
from tests.unit.compiler.models import model

CORES: tuple[tuple[Arch, str], ...] = (
    ("aarch64", "cortex-a53"),
    ("aarch64", "cortex-a57"),
    ("aarch64", "cortex-a76"),
    ("armv7", "cortex-a7"),
)


def unit_of(arch: Arch, mcpu: str) -> VectorUnit:
    platform = Platform(arch=arch, libc=Libc(family="glibc", floor="2.28"))
    cpu = Cpu(mcpu=mcpu, mattr=("+neon",), cores=4, features=())
    return vector_unit(arch, llvm_target(platform, cpu))


def values(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def convolutions(channels: int, out: int, side: int, **attributes: object) -> onnx.ModelProto:
    """Return two convolutions, the first of a plain image, the second over blocks."""
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "second"], ["y"], name="second", **attributes),
    ]
    kernel = attributes.get("kernel_shape", [3, 3])
    assert isinstance(kernel, list)
    groups = attributes.get("group", 1)
    assert isinstance(groups, int)
    weights = {
        "first": values(channels, 3, 3, 3),
        "second": values(out, channels // groups, *kernel),
    }
    return model(nodes, inputs={"x": [1, 3, side, side]}, outputs={"y": None}, weights=weights)


def product(rows: int, depth: int, columns: int) -> onnx.ModelProto:
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        inputs={"x": [1, rows, depth]},
        outputs={"y": [1, rows, columns]},
        weights={"w": values(depth, columns)},
    )


def attention(rows: int, depth: int) -> onnx.ModelProto:
    """Return softmax(Q K^T) V of four heads, each operand an input."""
    nodes = [
        helper.make_node("Transpose", ["k"], ["t"], name="t", perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q", "t"], ["scores"], name="scores"),
        helper.make_node("Softmax", ["scores"], ["powers"], name="powers"),
        helper.make_node("MatMul", ["powers", "v"], ["y"], name="y"),
    ]
    shape = [1, 4, rows, depth]
    return model(nodes, inputs=dict.fromkeys("qkv", shape), outputs={"y": shape})


MODELS = {
    "3x3": convolutions(32, 20, 11, pads=[1, 1, 1, 1]),
    "winograd": convolutions(32, 32, 15, pads=[1, 1, 1, 1]),
    "winograd of 49 tiles": convolutions(32, 32, 28, pads=[1, 1, 1, 1]),
    "attention": attention(40, 24),
    "1x1": convolutions(24, 40, 13, kernel_shape=[1, 1]),
    "stride 2": convolutions(16, 24, 15, strides=[2, 2]),
    "dilated": convolutions(8, 8, 9, dilations=[2, 2]),
    "groups": convolutions(24, 24, 9, group=3),
    "channels that fill no block": convolutions(6, 10, 9),
    "product": product(13, 36, 20),
    "product of an odd depth": product(9, 37, 12),
    "one row": product(1, 64, 40),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("arch", "mcpu"), CORES)
def test_an_arm_schedule_computes_the_same(
    arch: Arch, mcpu: str, name: str, tmp_path: Path
) -> None:
    result = errors(MODELS[name], tmp_path, lanes=4, unit=unit_of(arch, mcpu))
    assert max(result["outputs"]) < 2e-5
    assert [line for line in result["log"] if "does not fit" in line] == []
