"""Shapes: every input gets a static one, from the model or from the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from builder.compiler.prepare.skeleton import Skeleton
from builder.errors import ModelRefused, UsageError


def bind_shapes(skeleton: Skeleton, shapes: Mapping[str, Sequence[int]]) -> None:
    """Make every graph input static, ``shapes`` deciding where the model leaves dimensions open.

    Raises ``UsageError`` for a shape that no input has or that contradicts the model, and
    ``ModelRefused`` naming every input that is still open, with the option that closes it.
    """
    inputs = [value for value in skeleton.model.graph.input if value.name not in skeleton.spans]
    _refuse_unknown_names(shapes, [value.name for value in inputs])
    symbols: dict[str, int] = {}
    for value in inputs:
        if value.name in shapes:
            _bind(value, shapes[value.name], symbols)
    for value in inputs:
        _bind_symbols(value, symbols)
    still_open = [value for value in inputs if not _is_static(value)]
    if still_open:
        raise ModelRefused(
            f"the model's input shapes are open: {', '.join(map(_spelled, still_open))}",
            reason="open-shape",
            remedy="give them, e.g. "
            + " ".join(f"--shape '{value.name}={_example(value)}'" for value in still_open),
            details={"inputs": [value.name for value in still_open]},
        )
    # Shapes recorded inside the graph were true for the open model only.
    del skeleton.model.graph.value_info[:]
    for output in skeleton.model.graph.output:
        for dim in output.type.tensor_type.shape.dim:
            dim.Clear()


def _refuse_unknown_names(shapes: Mapping[str, Sequence[int]], names: Sequence[str]) -> None:
    unknown = sorted(set(shapes) - set(names))
    if unknown:
        raise UsageError(
            f"--shape names {unknown[0]!r}, which is no input of the model",
            reason="unknown-input",
            remedy=f"its inputs are: {', '.join(names)}",
        )


def _bind(value: onnx.ValueInfoProto, dims: Sequence[int], symbols: dict[str, int]) -> None:
    tensor = value.type.tensor_type
    declared = tensor.shape.dim if tensor.HasField("shape") else None
    if declared is not None:
        for position, (dim, size) in enumerate(zip(declared, dims, strict=False)):
            if dim.HasField("dim_value") and dim.dim_value not in (size, 0, -1):
                raise _contradiction(value, dims, f"dimension {position} is {dim.dim_value}")
            if dim.dim_param and symbols.setdefault(dim.dim_param, size) != size:
                known = symbols[dim.dim_param]
                raise _contradiction(value, dims, f"{dim.dim_param} is already {known}")
        if len(declared) != len(dims):
            raise _contradiction(value, dims, f"the input has {len(declared)} dimensions")
    tensor.shape.CopyFrom(onnx.TensorShapeProto())
    for size in dims:
        tensor.shape.dim.add().dim_value = size


def _bind_symbols(value: onnx.ValueInfoProto, symbols: Mapping[str, int]) -> None:
    for dim in value.type.tensor_type.shape.dim:
        if dim.dim_param in symbols:
            dim.dim_value = symbols[dim.dim_param]


def _contradiction(value: onnx.ValueInfoProto, dims: Sequence[int], why: str) -> UsageError:
    given = ",".join(map(str, dims))
    return UsageError(
        f"--shape {value.name}={given} does not fit the model",
        reason="shape-mismatch",
        why=why,
        remedy=f"the model declares {_spelled(value)}",
    )


def _is_static(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    return tensor.HasField("shape") and all(dim.dim_value > 0 for dim in tensor.shape.dim)


def _spelled(value: onnx.ValueInfoProto) -> str:
    dims = [
        str(dim.dim_value) if dim.dim_value > 0 else dim.dim_param or "?"
        for dim in value.type.tensor_type.shape.dim
    ]
    return f"{value.name} [{', '.join(dims)}]"


def _example(value: onnx.ValueInfoProto) -> str:
    dims = value.type.tensor_type.shape.dim
    return ",".join(str(dim.dim_value) if dim.dim_value > 0 else "N" for dim in dims) or "N"
