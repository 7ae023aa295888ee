"""An ONNX model without the bulk of its weights.

Simplifiers and converters copy the protobuf several times, and protobuf stops at 2 GiB. So large
initialisers are streamed to a weights file first and stand as graph inputs while the graph is
rewritten; afterwards they return as initialisers with external data.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from builder.compiler.node_names import nodes, subgraphs
from builder.compiler.prepare.model_files import ModelFiles
from builder.compiler.prepare.plain_tensors import (
    bring_in,
    dense_value,
    make_plain,
    tensor_value,
)
from builder.compiler.prepare.wellformed import require_wellformed
from builder.compiler.weights import Span, WeightsWriter, read_span
from builder.errors import ModelRefused
from builder.model.model_limits import DEFAULT_LIMITS, ModelLimits

LARGE_BYTES = 16 * 1024
"""Initialisers below this stay in the protobuf: shape arithmetic and scalars must fold."""

_COMPANION_OPSET = 18
"""What rewrites of other domains' operators are written in."""

WEIGHTS_FILE = "weights.data"


@dataclass(slots=True, kw_only=True)
class Skeleton:
    """A model whose initialisers named in ``spans`` lie in a file. Passes replace ``model``.

    ``limits`` are what the model may cost; passes that estimate refuse what is beyond them.
    ``follows_values`` says whether inferring shapes may follow the values of shape arithmetic.
    Where the model has texts, ``labels`` has them by value, and the value itself says which: int64.
    ``kept`` are the types that ONNX cannot infer, of what nodes of classical models make.
    """

    model: onnx.ModelProto
    writer: WeightsWriter
    limits: ModelLimits = DEFAULT_LIMITS
    spans: dict[str, Span] = field(default_factory=dict)
    follows_values: bool = True
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kept: dict[str, onnx.ValueInfoProto] = field(default_factory=dict)

    def mapped(self, name: str) -> npt.NDArray[Any]:
        """Return the value of a large initialiser: mapped, not read."""
        self.writer.flush()
        return read_span(self.writer.path, self.spans[name])

    def add(self, name: str, value: npt.NDArray[Any]) -> None:
        """Add an initialiser of any size and type, called as nothing in the model is."""
        if value.nbytes >= LARGE_BYTES:
            self.spans[name] = self.writer.add(value)
            self.model.graph.input.append(
                onnx.helper.make_tensor_value_info(
                    name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
                )
            )
        else:
            self.model.graph.initializer.append(numpy_helper.from_array(value, name))

    def drop(self, names: Collection[str]) -> None:
        """Forget initialisers and inputs; all at once, for each time looks through the model."""
        for name in names:
            self.spans.pop(name, None)
        _remove(self.model.graph.initializer, names)
        _remove(self.model.graph.input, names)


SkeletonPass = Callable[[Skeleton], None]


def read(
    path: Path,
    writer: WeightsWriter,
    limits: ModelLimits = DEFAULT_LIMITS,
    digests: Mapping[str, str] | None = None,
) -> Skeleton:
    """Parse the model at ``path``, streaming its large initialisers to ``writer``.

    ``digests`` are the SHA-256 of its files. Raises ``ModelRefused`` for what is not an ONNX graph
    or has malformed tensors, ``BuildFailed`` ``source-changed`` for other files than those.
    """
    files = ModelFiles(path.parent, digests)
    opened = files.path(path.name)
    try:
        model = onnx.load(opened, format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf raises many kinds; each means the same to the user
        raise ModelRefused(
            "not an ONNX model", reason="not-onnx", where=path.name, why=str(error)[:200]
        ) from None
    _complete_opsets(model)
    _shorten_domains(model)
    _merge_opsets(model)
    require_wellformed(model)
    skeleton = Skeleton(model=model, writer=writer, limits=limits)
    # IR version 3 lists initialisers as inputs too, which stops all folding; later ones need not.
    model.ir_version = max(model.ir_version, 8)
    _read_initialisers(skeleton, files)
    make_plain(model, files)
    return skeleton


def _read_initialisers(skeleton: Skeleton, files: ModelFiles) -> None:
    graph = skeleton.model.graph
    sparse = {one.values.name: one for one in graph.sparse_initializer}
    _remove(graph.input, {*sparse, *(tensor.name for tensor in graph.initializer)})
    for tensor in graph.initializer:
        value = tensor_value(tensor, files)
        if value.nbytes >= LARGE_BYTES:
            skeleton.add(tensor.name, value)
        else:
            bring_in(tensor, files)
    _remove(graph.initializer, skeleton.spans)
    for name, tensor in sparse.items():
        skeleton.add(name, dense_value(tensor, files))
    del graph.sparse_initializer[:]
    _drop_unused(graph)


def _drop_unused(graph: onnx.GraphProto) -> None:
    # Folding takes time with the square of their number, whether anything uses them or not.
    used = used_names(graph)
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    if len(kept) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(kept)


def _complete_opsets(model: onnx.ModelProto) -> None:
    """Name an operator set of ONNX for a model that names others only, as it may."""
    if model.opset_import and all(e.domain not in ("", "ai.onnx") for e in model.opset_import):
        model.opset_import.add(domain="", version=_COMPANION_OPSET)


def _shorten_domains(model: onnx.ModelProto) -> None:
    """Let ONNX's own domain have one spelling: none."""
    called = [one.node for body in (model.graph, *model.functions) for one in nodes(body)]
    opsets = [entry for owner in (model, *model.functions) for entry in owner.opset_import]
    for entry in (*opsets, *model.functions, *called):
        if entry.domain == "ai.onnx":
            entry.domain = ""


def _merge_opsets(model: onnx.ModelProto) -> None:
    """Let an operator set be named once: some converters repeat themselves."""
    for owner in (model, *model.functions):
        entries = {(e.domain, e.version): e for e in owner.opset_import}
        if len(entries) < len(owner.opset_import):
            kept = [onnx.OperatorSetIdProto(domain=d, version=v) for d, v in entries]
            del owner.opset_import[:]
            owner.opset_import.extend(kept)


def write(skeleton: Skeleton, path: Path) -> None:
    """Write the model with its large initialisers as external data beside it."""
    path.write_bytes(serialized(skeleton))


def serialized(skeleton: Skeleton) -> bytes:
    """Return what ``write`` writes; the skeleton stays as it is."""
    model = onnx.ModelProto()
    model.CopyFrom(skeleton.model)
    graph = model.graph
    used = used_names(graph)
    types = {value.name: value.type.tensor_type.elem_type for value in graph.input}
    _remove(graph.input, set(skeleton.spans))
    for name, span in skeleton.spans.items():
        if name not in used:
            continue
        tensor = TensorProto(name=name, data_type=types[name], dims=span.shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, entry in (
            ("location", WEIGHTS_FILE),
            ("offset", span.offset),
            ("length", span.size_bytes),
        ):
            tensor.external_data.add(key=key, value=str(entry))
        graph.initializer.append(tensor)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def used_names(graph: onnx.GraphProto) -> set[str]:
    """Return the values that nodes, however deep, and outputs of ``graph`` take."""
    used = {value.name for value in graph.output}
    for node in graph.node:
        used.update(node.input)
        for _, inner in subgraphs(node):
            used |= used_names(inner)
    return used


def _remove(named: Any, doomed: Collection[str]) -> None:
    """Delete the items with these names from a repeated protobuf field."""
    for index in reversed([i for i, item in enumerate(named) if item.name in doomed]):
        del named[index]
