"""Names that carry ONNX nodes, and their survival through fusion."""

from __future__ import annotations

import pytest
import tvm
from tvm import relax
from tvm.script import relax as R

from builder.compiler import provenance

SHAPE = relax.TensorType((4,), "float32")


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("onnx_3_n1", (3,)),
        ("onnx_3_4_5_n12", (3, 4, 5)),
        ("onnx_3_n1_2", (3,)),
        ("lv7", ()),
        ("gv", ()),
    ],
)
def test_a_name_tells_its_nodes(name: str, nodes: tuple[int, ...]) -> None:
    assert provenance.nodes_of(relax.Var(name, SHAPE)) == nodes


def repeated() -> tvm.IRModule:
    """Return relu(a + a) of a = relu(x + x): equal operators on different operands."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", SHAPE)
    with builder.function("main", [x]):
        with builder.dataflow():
            a = builder.emit(R.add(x, x), "onnx_0_n1")
            b = builder.emit(R.nn.relu(a), "onnx_1_n2")
            c = builder.emit(R.add(b, b), "onnx_2_n3")
            out = builder.emit_output(R.nn.relu(c), "onnx_3_n4")
        builder.emit_func_output(out)
    mod = builder.get()
    steps = [relax.transform.LegalizeOps(), relax.transform.AnnotateTIROpPattern()]
    with tvm.target.Target("llvm"):
        return tvm.ir.transform.Sequential(steps)(mod)


def test_fusion_keeps_the_nodes_of_every_group() -> None:
    before = repeated()
    after = provenance.after_fusion(before, relax.transform.FuseOps()(before))
    named = [provenance.nodes_of(b.var) for b in provenance.bindings(after["main"])]
    assert [nodes for nodes in named if nodes] == [(0, 1, 2, 3)]


def test_what_fusion_leaves_alone_keeps_its_name() -> None:
    before = repeated()
    after = provenance.after_fusion(before, before)
    named = [provenance.nodes_of(b.var) for b in provenance.bindings(after["main"])]
    assert named == [(0,), (1,), (2,), (3,)]
