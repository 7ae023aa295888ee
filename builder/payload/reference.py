"""ONNX Runtime's values inside a prepared model, not only at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto

from builder.compiler.prepare.check_data import array_of, as_ort_value
from builder.compiler.refusals import value_types

_NONE = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
_ALL = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL

AT_ONCE = 64
"""Values taken from one run: all at once would hold every activation of the model in memory."""


class Reference:
    """A prepared model, or a part of one, for ONNX Runtime; its weights lie in ``prepared``.

    Nothing is optimised: each node is computed as it is written. ``in_another_order`` lets ONNX
    Runtime optimise after all, as far as the values that are asked for allow.
    """

    def __init__(
        self, model: onnx.ModelProto, prepared: Path, *, in_another_order: bool = False
    ) -> None:
        self._model = model
        self._prepared = prepared
        self._types = value_types(model.graph)
        self._level = _ALL if in_another_order else _NONE

    def values(
        self, names: Sequence[str], inputs: Mapping[str, npt.NDArray[Any]]
    ) -> Iterator[npt.NDArray[Any]]:
        """Yield the values called ``names``, whichever nodes they lie between."""
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            session = self._session(some)
            fed = {v.name: as_ort_value(inputs[v.name]) for v in session.get_inputs()}
            for name, value in zip(some, session.run_with_ort_values(None, fed), strict=True):
                yield array_of(value).astype(self._dtype(name), copy=False)

    def save(self, path: Path) -> None:
        """Write the model with its weights in the one file."""
        whole = onnx.ModelProto()
        whole.CopyFrom(self._model)
        onnx.load_external_data_for_model(whole, str(self._prepared))
        onnx.save(whole, path)

    def _dtype(self, name: str) -> np.dtype[Any]:
        element = self._types[name].tensor_type.elem_type
        dtype: np.dtype[Any] = onnx.helper.tensor_dtype_to_np_dtype(element)
        return dtype

    def _session(self, names: Sequence[str]) -> onnxruntime.InferenceSession:
        asking = onnx.ModelProto()
        asking.CopyFrom(self._model)
        del asking.graph.output[:]
        for name in names:
            if self._dtype(name) == ml_dtypes.bfloat16:
                _ask_for_float32(asking.graph, name)
            else:
                asking.graph.output.add(name=name).type.CopyFrom(self._types[name])
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = self._level
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(self._prepared)
        )
        return onnxruntime.InferenceSession(
            asking.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )


def _ask_for_float32(graph: onnx.GraphProto, name: str) -> None:
    # ONNX Runtime computes with bfloat16 but hands none out.
    wide = f"{name} as float32"
    graph.node.append(onnx.helper.make_node("Cast", [name], [wide], to=TensorProto.FLOAT))
    graph.output.add(name=wide).type.tensor_type.elem_type = TensorProto.FLOAT
