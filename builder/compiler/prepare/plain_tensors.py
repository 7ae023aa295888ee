"""Tensors outside a model's file, and sparse ones, as plain tensors, wherever in it they stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from builder.compiler.node_names import nodes, subgraphs
from builder.compiler.prepare.model_files import ModelFiles
from builder.compiler.weights import Span, read_span, stored_bytes
from builder.errors import ModelRefused


def make_plain(model: onnx.ModelProto, files: ModelFiles) -> None:
    """Bring the tensors of subgraphs and of attributes into the model, and make them dense.

    Those outside are in ``files``. Raises ``ModelRefused`` for one that is malformed.
    """
    for function in model.functions:
        _attributes(function.attribute_proto, files)
    for body in (model.graph, *model.functions):
        for placed in nodes(body):
            _attributes(placed.node.attribute, files)
            for _, graph in subgraphs(placed.node):
                _initialisers(graph, files)


def _attributes(attributes: Iterable[AttributeProto], files: ModelFiles) -> None:
    for attribute in attributes:
        for tensor in (attribute.t, *attribute.tensors):
            bring_in(tensor, files)
        if attribute.HasField("sparse_tensor"):  # of a Constant: there is no other such operator
            value = dense_value(attribute.sparse_tensor, files)
            attribute.CopyFrom(onnx.helper.make_attribute("value", numpy_helper.from_array(value)))


def _initialisers(graph: onnx.GraphProto, files: ModelFiles) -> None:
    for tensor in graph.initializer:
        bring_in(tensor, files)
    for sparse in graph.sparse_initializer:
        value = dense_value(sparse, files)
        graph.initializer.append(numpy_helper.from_array(value, sparse.values.name))
    del graph.sparse_initializer[:]


def bring_in(tensor: TensorProto, files: ModelFiles) -> None:
    """Put the bytes of a tensor that lies outside into the model."""
    if tensor.data_location == TensorProto.EXTERNAL:
        value = tensor_value(tensor, files)
        tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def tensor_value(tensor: TensorProto, files: ModelFiles) -> npt.NDArray[Any]:
    """Return a tensor's value; external data are mapped, never read as a whole.

    Raises ``ModelRefused`` where bytes and shape do not agree.
    """
    try:
        if tensor.data_location != TensorProto.EXTERNAL:
            return np.asarray(numpy_helper.to_array(tensor))
        info = onnx.external_data_helper.ExternalDataInfo(tensor)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        span = Span(
            offset=info.offset or 0,
            size_bytes=stored_bytes(tensor.dims, dtype),
            shape=tuple(tensor.dims),
            dtype=dtype.name,
        )
        if info.length not in (None, 0, span.size_bytes):
            raise ValueError(f"{info.length} bytes are not {list(tensor.dims)} of {dtype.name}")
        return read_span(files.path(info.location), span)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise _malformed(tensor.name, str(error)) from None


def dense_value(sparse: onnx.SparseTensorProto, files: ModelFiles) -> npt.NDArray[Any]:
    """Return what a sparse tensor lists, and zeros around it.

    Raises ``ModelRefused`` where values, indices and shape do not agree, or memory is short.
    """
    name = sparse.values.name
    values, indices = (tensor_value(one, files) for one in (sparse.values, sparse.indices))
    try:
        if indices.min(initial=0) < 0:
            raise IndexError("an index is negative")
        dense = np.zeros(tuple(sparse.dims), values.dtype)
        dense[_places(indices, dense.shape)] = values
    except (ValueError, IndexError) as error:
        raise _malformed(name, str(error)) from None
    except MemoryError:
        what = f"initialiser {name!r} needs more memory than there is"
        raise ModelRefused(what, reason="too-large", why=f"it is {list(sparse.dims)}") from None
    return dense


def _places(indices: npt.NDArray[Any], shape: tuple[int, ...]) -> tuple[npt.NDArray[Any], ...]:
    """Return indices by axis: they come so, [values, axes], or counted through the whole."""
    return np.unravel_index(indices, shape) if indices.ndim == 1 else tuple(indices.T)


def _malformed(name: str, why: str) -> ModelRefused:
    return ModelRefused(
        f"initialiser {name!r} is malformed", reason="malformed-tensor", why=why[:200]
    )
