"""Inputs made static: shapes and dimensions bound, chosen inputs turned into constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx

from builder.compiler.prepare.freezing import Arrays, Frozen
from builder.compiler.prepare.skeleton import Skeleton
from builder.errors import ModelRefused, UsageError
from builder.model.binding import Binding


def bind(skeleton: Skeleton, binding: Binding, frozen: Frozen) -> Arrays:
    """Make every graph input static or constant; return the constants' values by input name.

    ``binding`` and the frozen values decide where the model leaves dimensions open. Raises
    ``UsageError`` for a name that the model does not have or what contradicts it, and
    ``ModelRefused`` naming every input that is still open, with the option that closes it.
    """
    inputs = [value for value in skeleton.model.graph.input if value.name not in skeleton.spans]
    names = [value.name for value in inputs]
    _refuse_unknown("--shape", dict(binding.shapes), names)
    _refuse_unknown("--freeze", frozen.names, names)
    symbols = _dims(inputs, binding)
    shapes = frozen.shapes | dict(binding.shapes)
    for value in inputs:
        if value.name in shapes:
            _bind(value, shapes[value.name], symbols)
    for value in inputs:
        _bind_symbols(value, symbols)
    # A declared 0 means open in old exporters' files; a bound one is an empty tensor.
    _refuse_open([v for v in inputs if v.name not in shapes and not _is_static(v)])
    _forget_recorded_shapes(skeleton.model.graph)
    return frozen.into(skeleton, inputs)


def _dims(inputs: Sequence[onnx.ValueInfoProto], binding: Binding) -> dict[str, int]:
    used = dict.fromkeys(
        dim.dim_param
        for value in inputs
        for dim in value.type.tensor_type.shape.dim
        if dim.dim_param
    )
    unknown = next((name for name, _ in binding.dims if name not in used), None)
    if unknown is not None:
        raise UsageError(
            f"--dim names {unknown!r}, which no input of the model has as a dimension",
            reason="unknown-dim",
            remedy=f"its open dimensions are: {', '.join(used)}" if used else None,
        )
    return dict(binding.dims)


def _refuse_unknown(option: str, wanted: Iterable[str], names: Sequence[str]) -> None:
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise UsageError(
            f"{option} names {unknown[0]!r}, which is no input of the model",
            reason="unknown-input",
            remedy=f"its inputs are: {', '.join(names)}",
        )


def _refuse_open(still_open: Sequence[onnx.ValueInfoProto]) -> None:
    if still_open:
        raise ModelRefused(
            f"the model's input shapes are open: {', '.join(map(_spelled, still_open))}",
            reason="open-shape",
            remedy="give them, e.g. "
            + " ".join(f"--shape '{value.name}={_example(value)}'" for value in still_open),
            details={"inputs": [value.name for value in still_open]},
        )


def _forget_recorded_shapes(graph: onnx.GraphProto) -> None:
    # Shapes recorded inside the graph were true for the open model only.
    del graph.value_info[:]
    for output in graph.output:
        shape = output.type.tensor_type.shape
        for dim in shape.dim:
            dim.Clear()
        # A rank with unknown extents may stay; "a scalar" would pass for a known shape.
        if not shape.dim:
            output.type.tensor_type.ClearField("shape")


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
        f"the shape {value.name}={given} does not fit the model",
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
