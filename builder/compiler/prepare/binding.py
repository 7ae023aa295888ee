"""Inputs made static: shapes and dimensions bound, chosen inputs turned into constants."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import onnx

from builder.compiler.prepare.freezing import Arrays, Frozen
from builder.compiler.prepare.simplify import forget_shapes
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
    # Shapes recorded inside the graph were true for the open model only.
    forget_shapes(skeleton.model.graph)
    return frozen.into(skeleton, inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """What a symbol stands for, and where that was said."""

    size: int
    where: str


Symbols = dict[str, _Extent]


def _dims(inputs: Sequence[onnx.ValueInfoProto], binding: Binding) -> Symbols:
    used = dict.fromkeys(
        symbol
        for value in inputs
        for dim in value.type.tensor_type.shape.dim
        if (symbol := _symbol(dim))
    )
    unknown = next((name for name, _ in binding.dims if name not in used), None)
    if unknown is not None:
        raise UsageError(
            f"--dim names {unknown!r}, which no input of the model has as a dimension",
            reason="unknown-dim",
            remedy=f"its open dimensions are: {', '.join(used)}" if used else None,
        )
    return {name: _Extent(size=size, where="--dim") for name, size in binding.dims}


_NO_NAMES = frozenset({"nan", "nil", "none", "null", "undefined", "unk", "unknown"})


def _symbol(dim: onnx.TensorShapeProto.Dimension) -> str:
    """Return the name of a dimension; none where it says only that nobody knows the extent."""
    name = str(dim.dim_param)
    named = any(letter.isalpha() for letter in name) and name.lower() not in _NO_NAMES
    return name if named else ""


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
        options = dict.fromkeys(option for value in still_open for option in _options(value))
        raise ModelRefused(
            f"the model's input shapes are open: {', '.join(map(_spelled, still_open))}",
            reason="open-shape",
            remedy=f"give them, e.g. {' '.join(options)}",
            details={"inputs": [value.name for value in still_open]},
        )


def _options(value: onnx.ValueInfoProto) -> Iterator[str]:
    """Yield the options that close an input: by name where all its open dimensions have one."""
    dims = value.type.tensor_type.shape.dim
    symbols = [_symbol(dim) for dim in dims if dim.dim_value <= 0]
    if symbols and all(symbols):
        yield from (f"--dim {shlex.quote(f'{symbol}=N')}" for symbol in symbols)
    else:
        yield f"--shape {shlex.quote(f'{value.name}={_example(value)}')}"


def _bind(value: onnx.ValueInfoProto, dims: Sequence[int], symbols: Symbols) -> None:
    tensor = value.type.tensor_type
    declared = tensor.shape.dim if tensor.HasField("shape") else None
    if declared is not None:
        for position, (dim, size) in enumerate(zip(declared, dims, strict=False)):
            if dim.HasField("dim_value") and dim.dim_value not in (size, 0, -1):
                raise _contradiction(value, dims, f"dimension {position} is {dim.dim_value}")
            if symbol := _symbol(dim):
                where = f"dimension {position} of input {value.name!r}"
                known = symbols.setdefault(symbol, _Extent(size=size, where=where))
                if known.size != size:
                    why = (
                        f"dimension {position} is called {symbol!r}, which is {known.size} already"
                    )
                    raise _contradiction(value, dims, f"{why}, by {known.where}")
        if len(declared) != len(dims):
            raise _contradiction(value, dims, f"the input has {len(declared)} dimensions")
    tensor.shape.CopyFrom(onnx.TensorShapeProto())
    for size in dims:
        tensor.shape.dim.add().dim_value = size


def _bind_symbols(value: onnx.ValueInfoProto, symbols: Symbols) -> None:
    for dim in value.type.tensor_type.shape.dim:
        if (symbol := _symbol(dim)) in symbols:
            dim.dim_value = symbols[symbol].size


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
        str(dim.dim_value) if dim.dim_value > 0 else _symbol(dim) or "?"
        for dim in value.type.tensor_type.shape.dim
    ]
    return f"{value.name} [{', '.join(dims)}]"


def _example(value: onnx.ValueInfoProto) -> str:
    dims = value.type.tensor_type.shape.dim
    return ",".join(str(dim.dim_value) if dim.dim_value > 0 else "N" for dim in dims) or "N"
