"""Small convolutions of one image become one, and the numbers stay."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import tvm
from onnx import helper
from tvm import relax

from builder.compiler import provenance, siblings
from tests.unit.compiler.models import model
from tests.unit.compiler.test_kernels import LANES, check, values

BLOCK = 16


def heads(widths: dict[str, int], *, odd_one_out: str = "") -> onnx.ModelProto:
    """Return heads over one image: 1x1, bias, depthwise 3x3, Relu; one may skip its Relu."""
    nodes = [helper.make_node("Conv", ["x", "stem"], ["image"])]
    weights = {"stem": values(20, 3, 1, 1)}
    for name, width in widths.items():
        weights |= {
            f"{name}.w": values(width, 20, 1, 1, seed=width),
            f"{name}.b": values(width, seed=1),
            f"{name}.d": values(width, 1, 3, 3, seed=2),
        }
        nodes += [
            helper.make_node("Conv", ["image", f"{name}.w", f"{name}.b"], [f"{name}.c"]),
            helper.make_node(
                "Conv", [f"{name}.c", f"{name}.d"], [f"{name}.o"], group=width, pads=[1, 1, 1, 1]
            ),
            helper.make_node("Tanh" if name == odd_one_out else "Relu", [f"{name}.o"], [name]),
        ]
    return model(nodes, inputs={"x": [1, 3, 9, 7]}, outputs=dict.fromkeys(widths), weights=weights)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("odd_one_out", ["", "kps"])
def test_heads_compute_the_same(odd_one_out: str, lanes: int) -> None:
    widths = {"cls": 1, "obj": 1, "box": 4, "kps": 10}
    assert check(heads(widths, odd_one_out=odd_one_out), lanes) == []


def convolved(*widths: int, keep: bool = False) -> tvm.IRModule:
    """Return 1x1 convolutions with biases of one image as Relax; ``keep`` shows one's sums too."""
    image = relax.Var("image", relax.TensorType((1, 8, 5, 5), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [image]):
        with builder.dataflow():
            shown: list[relax.Var] = []
            for width in widths:
                sums = builder.emit(relax.op.nn.conv2d(image, _constant(width, 8, 1, 1)))
                shown += [sums] if keep and not shown else []
                shown.append(builder.emit(relax.op.add(sums, _constant(1, width, 1, 1))))
            out = builder.emit_output(relax.Tuple(shown))
        builder.emit_func_output(out)
    return builder.get()


def _constant(*shape: int) -> relax.Expr:
    return relax.const(np.ones(shape, "float32"))


def operators(mod: tvm.IRModule) -> list[str]:
    return [
        each.value.op.name.rsplit(".", 1)[-1]
        for each in provenance.bindings(mod["main"])
        if isinstance(each.value, relax.Call)
    ]


def test_siblings_take_their_steps_together() -> None:
    merged = siblings.merge(convolved(1, 4, 10), BLOCK)
    assert operators(merged) == ["conv2d", "add", *["strided_slice"] * 3]


def test_a_value_that_is_read_twice_ends_the_steps() -> None:
    merged = siblings.merge(convolved(1, 4, keep=True), BLOCK)
    assert operators(merged) == ["conv2d", "strided_slice", "strided_slice", "add", "add"]


@pytest.mark.parametrize("widths", [(16, 16), (9,), (16, 8), (31, 31)])
def test_convolutions_that_save_no_block_stay_apart(widths: tuple[int, ...]) -> None:
    mod = convolved(*widths)
    assert operators(siblings.merge(mod, BLOCK)) == operators(mod)
