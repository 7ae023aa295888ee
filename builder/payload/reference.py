"""ONNX Runtime's values inside a prepared model, not only at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
import onnxruntime

from builder.compiler.refusals import value_types

Arrays = dict[str, npt.NDArray[Any]]

AT_ONCE = 64
"""Values taken from one run: all at once would hold every activation of the model in memory."""


class Reference:
    """A prepared model, or a part of one, for ONNX Runtime; its weights lie in ``prepared``.

    Nothing is optimised: each node is computed as it is written.
    """

    def __init__(self, model: onnx.ModelProto, prepared: Path) -> None:
        self._model = model
        self._prepared = prepared

    def values(
        self, names: Sequence[str], inputs: Mapping[str, npt.NDArray[Any]]
    ) -> Iterator[npt.NDArray[Any]]:
        """Yield the values called ``names``, whichever nodes they lie between."""
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            session = self._session(some)
            fed = {value.name: inputs[value.name] for value in session.get_inputs()}
            yield from session.run(list(some), fed)

    def save(self, path: Path) -> None:
        """Write the model with its weights in the one file."""
        whole = onnx.ModelProto()
        whole.CopyFrom(self._model)
        onnx.load_external_data_for_model(whole, str(self._prepared))
        onnx.save(whole, path)

    def _session(self, names: Sequence[str]) -> onnxruntime.InferenceSession:
        asking = onnx.ModelProto()
        asking.CopyFrom(self._model)
        types = value_types(asking.graph)
        del asking.graph.output[:]
        for name in names:
            asking.graph.output.add(name=name).type.CopyFrom(types[name])
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(self._prepared)
        )
        return onnxruntime.InferenceSession(
            asking.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
