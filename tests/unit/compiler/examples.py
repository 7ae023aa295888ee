"""One node before and after its rewrite, both run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from builder.compiler.prepare.pipeline import prepare

Array = npt.NDArray[Any]
_VERSIONS = {"ai.onnx.ml": 5, "com.microsoft": 1}


@dataclass(frozen=True, kw_only=True)
class Example:
    """One node on inputs by name; ``weights`` are constants; an output of type 0 is left out.

    The operator must be gone after its rewrite, unless it ``stays``; the domain's version is the
    newest unless it is given. ``absolute`` is the error that counts for none.
    """

    operator: str
    inputs: dict[str, Any]
    weights: dict[str, Array] = field(default_factory=dict)
    order: Sequence[str] = ()
    outputs: Sequence[int] = (TensorProto.FLOAT,)
    attributes: dict[str, Any] = field(default_factory=dict)
    opset: int = 18
    domain: str = ""
    stays: bool = False
    version: int | None = None
    absolute: float = 2e-5

    @property
    def model(self) -> onnx.ModelProto:
        names = list(self.order or [*self.inputs, *self.weights])
        outputs = [f"y{n}" if kind else "" for n, kind in enumerate(self.outputs)]
        node = helper.make_node(
            self.operator, names, outputs, name="it", domain=self.domain, **self.attributes
        )
        graph = helper.make_graph(
            [node],
            "example",
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
                )
                for name, value in self.inputs.items()
            ],
            [
                helper.make_tensor_value_info(name, kind, None)
                for name, kind in zip(outputs, self.outputs, strict=True)
                if kind
            ],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        imports = [helper.make_opsetid("", self.opset)]
        if self.domain:
            version = self.version or _VERSIONS[self.domain]
            imports.append(helper.make_opsetid(self.domain, version))
        return helper.make_model(graph, opset_imports=imports, ir_version=8)


def compare(folder: Path, example: Example) -> None:
    """Prepare the example; what is left must compute what ONNX Runtime makes of the original."""
    source, given, output = folder / "m.onnx", folder / "in.npz", folder / "out"
    onnx.save(example.model, source)
    np.savez(given, **example.inputs)
    output.mkdir()
    prepare(source, given=given, seed=0, output=output, log=lambda _: None)
    prepared = onnx.load(output / "model.onnx")
    operators = {node.op_type for node in prepared.graph.node}
    assert example.stays or example.operator not in operators
    domains = {node.domain for node in prepared.graph.node} - {""}
    assert example.stays or example.domain not in domains
    session = onnxruntime.InferenceSession(output / "model.onnx")
    kept = {value.name for value in session.get_inputs()}
    feed = {name: value for name, value in example.inputs.items() if name in kept}
    for value, found in zip(session.get_outputs(), session.run(None, feed), strict=True):
        expected = np.load(output / "check" / "expected" / f"{value.name}.npy")
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=example.absolute)
