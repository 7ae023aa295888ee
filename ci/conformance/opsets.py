"""Cases at an operator set that ONNX Runtime has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import onnx
import onnxruntime

from ci.conformance.cases import Case

_OLDEST = 7
"""What ONNX Runtime begins with."""


def implemented(case: Case) -> Case:
    """Return ``case`` at the newest operator set at which ONNX Runtime takes it, or as it is.

    ONNX stamps a test with the newest version of its operator. Where ONNX Runtime does not have
    that one, an older version of which the test is valid is the same test: its numbers must still
    be what the test says.
    """
    if is_taken(case.model):
        return case
    restamped = (model for model in _restamped(case.model) if _is_valid(model) and is_taken(model))
    return replace(case, model=next(restamped, case.model))


def is_taken(model: onnx.ModelProto) -> bool:
    """Say whether ONNX Runtime has kernels for every node of ``model``."""
    try:
        session(model)
    except Exception:  # ONNX Runtime's exceptions share no base but Exception
        return False
    return True


def session(model: onnx.ModelProto, *, as_written: bool = False) -> onnxruntime.InferenceSession:
    """Return ``model`` loaded, for one thread; ``as_written`` has nothing fused.

    Raises what ONNX Runtime raises.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _restamped(model: onnx.ModelProto) -> Iterator[onnx.ModelProto]:
    """Yield ``model`` at every other operator set, the newest first."""
    if [entry.domain for entry in model.opset_import] != [""]:
        return
    for opset in range(onnx.defs.onnx_opset_version(), _OLDEST - 1, -1):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        copy.opset_import[0].version = opset
        copy.ir_version = onnx.helper.find_min_ir_version_for(copy.opset_import)
        yield copy


def _is_valid(model: onnx.ModelProto) -> bool:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    return True
