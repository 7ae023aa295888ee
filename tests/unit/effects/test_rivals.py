"""What other runtimes are given to run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from builder.effects.rivals import without_listed_initialisers


def old_model() -> onnx.ModelProto:
    """Return a model as old exporters wrote it: weights among its inputs, one of no use."""
    weights = {name: np.full((3,), 2.0, np.float32) for name in ("w", "forgotten")}
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "old",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in ("x", *weights)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = helper.make_opsetid("", 9)
    return helper.make_model(graph, ir_version=3, opset_imports=[opset])


def test_weights_are_no_inputs_even_where_the_format_was_old(tmp_path: Path) -> None:
    onnx.save(old_model(), tmp_path / "old.onnx")
    (tmp_path / "work").mkdir()
    clean = without_listed_initialisers(tmp_path / "old.onnx", tmp_path / "work")
    session = onnxruntime.InferenceSession(clean)
    assert [value.name for value in session.get_inputs()] == ["x"]
    [made] = session.run(None, {"x": np.ones(3, np.float32)})
    np.testing.assert_array_equal(made, np.full(3, 2.0))
